//! From the ring buffer's bytes to records. Pure; no bytes make it panic.

use crate::prelude::*;
use portwatch_common::event::{
    Header, Kind,
    attempt::{Attempt, CANDIDATES, Candidate, Conflict, Walk},
    port::Port,
    process::{Exit, Fork, Process, Signal},
    time_wait::TimeWait,
};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// A record of the kernel side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A call has ended.
    Attempt(Box<Attempt>),
    /// A call has ended with `EADDRINUSE`; the walk goes with it.
    Conflict(Box<Conflict>),
    /// What a process is.
    Process(Box<Process>),
    /// A process has ended.
    Exit(Exit),
    /// A process has made another one.
    Fork(Fork),
    /// A process was sent a signal that may end it.
    Signal(Signal),
    /// A watched port was taken or released.
    Port(Box<Port>),
    /// A `TIME_WAIT` of a watched port has changed.
    TimeWait(Box<TimeWait>),
}

/// Bytes that are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The header does not fit, or gives a length that does not.
    #[error("a record of {len} bytes where {available} are left")]
    Length {
        /// What the header says.
        len: usize,
        /// What there is.
        available: usize,
    },
    /// Not a kind of this version.
    #[error("a record of the unknown kind {0}")]
    Kind(u16),
    /// A kind of this version, with another length.
    #[error("a record of kind {kind} with {len} bytes")]
    Size {
        /// Its kind.
        kind: u16,
        /// Its length.
        len: usize,
    },
}

/// Splits a chunk into records.
#[derive(Debug)]
pub struct Events<'a> {
    rest: &'a [u8],
}

/// The records of a chunk. After a length that cannot be right the rest of the chunk is given up.
#[must_use]
pub const fn events(chunk: &[u8]) -> Events<'_> {
    Events { rest: chunk }
}

impl Iterator for Events<'_> {
    type Item = Result<Event, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let available = self.rest.len();
        let header = Header::read_from_prefix(self.rest)
            .map(|(header, _)| header)
            .ok();
        let len = header.map_or(0, |header| usize::from(header.len));
        match header {
            Some(header) if len >= size_of::<Header>() && len <= available => {
                let (record, rest) = self.rest.split_at(len);
                self.rest = rest;
                Some(decode(header.kind, record))
            }
            _ => {
                self.rest = &[];
                Some(Err(DecodeError::Length { len, available }))
            }
        }
    }
}

fn decode(kind: u16, bytes: &[u8]) -> Result<Event, DecodeError> {
    let size = || DecodeError::Size {
        kind,
        len: bytes.len(),
    };
    match Kind::from_raw(kind).ok_or(DecodeError::Kind(kind))? {
        Kind::Attempt => whole(bytes)
            .map(|event| Event::Attempt(Box::new(event)))
            .ok_or_else(size),
        Kind::Conflict => conflict(bytes).map(Event::Conflict).ok_or_else(size),
        Kind::Process => whole(bytes)
            .map(|event| Event::Process(Box::new(event)))
            .ok_or_else(size),
        Kind::Exit => whole(bytes).map(Event::Exit).ok_or_else(size),
        Kind::Fork => whole(bytes).map(Event::Fork).ok_or_else(size),
        Kind::Signal => whole(bytes).map(Event::Signal).ok_or_else(size),
        Kind::Port => whole(bytes)
            .map(|event| Event::Port(Box::new(event)))
            .ok_or_else(size),
        Kind::TimeWait => whole(bytes)
            .map(|event| Event::TimeWait(Box::new(event)))
            .ok_or_else(size),
    }
}

fn whole<T: FromBytes>(bytes: &[u8]) -> Option<T> {
    T::read_from_bytes(bytes).ok()
}

/// A conflict ends with its last valid candidate.
fn conflict(bytes: &[u8]) -> Option<Box<Conflict>> {
    let mut conflict = Conflict::new_box_zeroed().ok()?;
    let fixed = size_of::<Conflict>() - CANDIDATES * size_of::<Candidate>();
    if bytes.len() < fixed || bytes.len() > size_of::<Conflict>() {
        return None;
    }
    conflict.as_mut_bytes()[..bytes.len()].copy_from_slice(bytes);
    let Walk { candidates_len, .. } = conflict.walk;
    let expected = usize::try_from(candidates_len)
        .ok()?
        .checked_mul(size_of::<Candidate>())?;
    (bytes.len() - fixed == expected).then_some(conflict)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(candidates: u32) -> (Box<Conflict>, Vec<u8>) {
        let mut conflict = Conflict::new_box_zeroed().unwrap();
        let len =
            size_of::<Conflict>() - (CANDIDATES - candidates as usize) * size_of::<Candidate>();
        conflict.attempt.header = Header {
            boot_ns: 7,
            kind: Kind::Conflict as u16,
            len: u16::try_from(len).unwrap(),
            cpu: 1,
        };
        conflict.attempt.errno = 98;
        conflict.walk.candidates_len = candidates;
        let bytes = conflict.as_bytes()[..len].to_vec();
        (conflict, bytes)
    }

    #[test]
    fn a_chunk_is_split_and_a_conflict_keeps_its_candidates() {
        let (two, mut chunk) = sample(2);
        let (none, bytes) = sample(0);
        chunk.extend(bytes);
        let events: Vec<_> = events(&chunk).collect();
        assert_eq!(
            events,
            [Ok(Event::Conflict(two)), Ok(Event::Conflict(none))]
        );
    }

    #[test]
    fn ports_and_time_waits_are_read_whole_or_not_at_all() {
        let header = |kind: Kind, len: usize| Header {
            boot_ns: 7,
            kind: kind as u16,
            len: u16::try_from(len).unwrap(),
            cpu: 1,
        };
        let port = Port {
            header: header(Kind::Port, size_of::<Port>()),
            action: 1,
            how: 3,
            ..Port::default()
        };
        let time_wait = TimeWait {
            header: header(Kind::TimeWait, size_of::<TimeWait>()),
            action: 2,
            hash: 9,
            ..TimeWait::default()
        };
        let chunk = [port.as_bytes(), time_wait.as_bytes()].concat();
        let whole: Vec<_> = events(&chunk).collect();
        assert_eq!(
            whole,
            [
                Ok(Event::Port(Box::new(port))),
                Ok(Event::TimeWait(Box::new(time_wait)))
            ]
        );
        let mut short = port;
        short.header.len -= 8;
        let bytes = &short.as_bytes()[..usize::from(short.header.len)];
        assert!(matches!(
            events(bytes).next(),
            Some(Err(DecodeError::Size { kind: 5, .. }))
        ));
    }

    #[test]
    fn forks_and_signals_are_read_whole_or_not_at_all() {
        let header = |kind: Kind, len: usize| Header {
            boot_ns: 7,
            kind: kind as u16,
            len: u16::try_from(len).unwrap(),
            cpu: 1,
        };
        let fork = Fork {
            header: header(Kind::Fork, size_of::<Fork>()),
            tgid: 9,
            ..Fork::default()
        };
        let signal = Signal {
            header: header(Kind::Signal, size_of::<Signal>()),
            signal: 15,
            ..Signal::default()
        };
        let chunk = [fork.as_bytes(), signal.as_bytes()].concat();
        let whole: Vec<_> = events(&chunk).collect();
        assert_eq!(whole, [Ok(Event::Fork(fork)), Ok(Event::Signal(signal))]);
        let mut short = fork;
        short.header.len -= 8;
        let bytes = &short.as_bytes()[..usize::from(short.header.len)];
        assert!(matches!(
            events(bytes).next(),
            Some(Err(DecodeError::Size { kind: 7, .. }))
        ));
    }

    #[test]
    fn a_count_that_does_not_fit_its_record_is_refused() {
        let (mut conflict, _) = sample(2);
        conflict.walk.candidates_len = 3;
        let len = usize::from(conflict.attempt.header.len);
        let bytes = &conflict.as_bytes()[..len];
        assert!(matches!(
            events(bytes).next(),
            Some(Err(DecodeError::Size { .. }))
        ));
    }

    #[test]
    fn an_unknown_kind_is_passed_over() {
        let (conflict, bytes) = sample(0);
        let mut chunk = bytes.clone();
        chunk[8] = 99;
        chunk.extend(bytes);
        let events: Vec<_> = events(&chunk).collect();
        assert_eq!(
            events,
            [Err(DecodeError::Kind(99)), Ok(Event::Conflict(conflict))]
        );
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
            events(&bytes).for_each(drop);
        }

        #[test]
        fn whatever_a_record_holds_it_is_read_back(
            body in proptest::collection::vec(any::<u8>(), size_of::<TimeWait>()),
            port: bool,
        ) {
            let (kind, len) = if port {
                (Kind::Port, size_of::<Port>())
            } else {
                (Kind::TimeWait, size_of::<TimeWait>())
            };
            let mut bytes = body[..len].to_vec();
            bytes[8..10].copy_from_slice(&(kind as u16).to_ne_bytes());
            bytes[10..12].copy_from_slice(&u16::try_from(len).unwrap().to_ne_bytes());
            let read = match events(&bytes).next() {
                Some(Ok(Event::Port(event))) => event.as_bytes().to_vec(),
                Some(Ok(Event::TimeWait(event))) => event.as_bytes().to_vec(),
                other => panic!("{other:?}"),
            };
            prop_assert_eq!(read, bytes);
        }

        #[test]
        fn damaged_records_never_panic(at in 0usize..400, value: u8, cut in 0usize..800) {
            let (_, mut bytes) = sample(2);
            bytes[at] = value;
            bytes.truncate(bytes.len().saturating_sub(cut));
            events(&bytes).for_each(drop);
        }
    }
}
