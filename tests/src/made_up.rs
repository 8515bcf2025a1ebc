//! Made-up logs of any length, always the same: services that start, serve, fail to start, and start again.
//!
//! Every record is what portwatch itself writes of such a thing, in full. A log of a million records is some 800 MB.

mod rough;
mod service;
mod words;

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    io::{self, Write},
};

use jiff::Timestamp;
use portwatch_core::model::record::{Body, Record};
use portwatch_log::json;

use self::{
    rough::Rough,
    service::{SERVICES, Service},
};

/// When these logs begin: nanoseconds since 1970.
const BEGIN: i64 = 1_795_248_000_000_000_000;
/// And since boot.
const BEGIN_BOOT_NS: u64 = 300_000_000_000_000;

/// Which log.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    /// How many records, `start` and `stop` among them.
    pub records: u64,
    /// How many services of each sort.
    pub copies: u16,
    /// How much a service is used: connections between two starts.
    pub connections: u32,
    /// A name for the programs that try; the usual ones without.
    pub name: Option<&'static str>,
    /// Not all is well with the tracing itself: records are lost, and in the middle it stops and starts again. And somebody
    /// has the path of a unix socket.
    pub rough: bool,
}

impl Log {
    /// A log of so many records on a handful of ports.
    #[must_use]
    pub const fn of(records: u64) -> Self {
        Self {
            records,
            copies: 1,
            connections: 6,
            name: None,
            rough: false,
        }
    }

    /// Writes it.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let mut lines = Lines {
            out,
            written: 0,
            seq: 0,
            buffer: Vec::new(),
        };
        lines.write(BEGIN, Body::Start(Box::new(words::start())))?;
        let count = SERVICES.len() * usize::from(self.copies);
        let mut services: Vec<Service> = (0..count)
            .map(|index| Service::new(index, BEGIN, self.connections, self.name))
            .collect();
        let mut next: BinaryHeap<_> = services
            .iter_mut()
            .enumerate()
            .map(|(index, service)| Reverse((service.next_time(), index)))
            .collect();
        let mut last = BEGIN;
        let mut rough = self.rough.then(|| Rough::new(self.records));
        while lines.written + 1 < self.records {
            let Some(Reverse((time, index))) = next.pop() else {
                break;
            };
            let body = services[index].next();
            let is_seen = match &mut rough {
                Some(rough) => rough.is_seen(lines.written, time, &mut |time, body| {
                    lines.write(time, body)
                })?,
                None => true,
            };
            if is_seen {
                lines.write(time, body)?;
                last = time;
            }
            next.push(Reverse((services[index].next_time(), index)));
        }
        lines.write(last, Body::Stop(words::stop(self.records)))
    }
}

struct Lines<'a, W> {
    out: &'a mut W,
    written: u64,
    /// Starts again with each run.
    seq: u64,
    buffer: Vec<u8>,
}

impl<W: Write> Lines<'_, W> {
    fn write(&mut self, time: i64, body: Body) -> io::Result<()> {
        self.written += 1;
        self.seq = if matches!(body, Body::Start(_)) {
            1
        } else {
            self.seq + 1
        };
        let record = Record {
            seq: self.seq,
            time: text(time),
            boot_ns: (BEGIN_BOOT_NS + (time - BEGIN) as u64).into(),
            body,
        };
        self.buffer.clear();
        json::to_line(&record, &mut self.buffer);
        self.out.write_all(&self.buffer)
    }
}

/// As records write it.
fn text(time: i64) -> String {
    Timestamp::from_nanosecond(i128::from(time))
        .map_or_else(|_| String::new(), |time| format!("{time:.9}"))
}

#[cfg(test)]
mod tests {
    use portwatch_log::json::from_line;

    use super::*;

    #[test]
    fn every_line_is_a_record_and_the_same_each_time() {
        let mut one = Vec::new();
        Log::of(500).write(&mut one).unwrap();
        let mut two = Vec::new();
        Log::of(500).write(&mut two).unwrap();
        assert_eq!(one, two);
        let text = String::from_utf8(one).unwrap();
        let records: Vec<_> = text.lines().map(|line| from_line(line).unwrap()).collect();
        assert_eq!(records.len(), 500);
        assert!(records.is_sorted_by_key(|record| (record.time.clone(), record.seq)));
    }
}
