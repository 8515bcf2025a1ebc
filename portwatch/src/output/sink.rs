//! Where lines are written to: standard output, or a file that is never left with half a line.
//!
//! Records are rendered into a buffer and written together. What cannot be written is dropped and counted, tracing goes
//! on, and when writing works again a `lost` record stands where the others are missing.

mod open;
mod target;

use std::{fmt, io, path::Path};

pub use open::OpenError;
use target::Target;

use super::{json, text::Text};
use crate::model::{
    number::Big,
    record::{Body, Lost, Record},
};

/// The buffer is written when it has grown to this many bytes, or when the caller says so.
const FLUSH_AT: usize = 64 * 1024;

/// How records become bytes.
#[derive(Clone, Debug)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// For people.
    Text(Text),
}

/// Whether `-o FILE` may find the file in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfExists {
    /// It must not exist.
    Refuse,
    /// Add to it.
    Append,
}

/// What became of the records that were due to be written.
#[derive(Debug)]
#[must_use]
pub enum Outcome {
    /// Nothing to tell.
    Fine,
    /// The reader has gone (a closed pipe): a normal end, nothing more will be written.
    Closed,
    /// Records were dropped, for the first time since writing last worked: to be told once.
    Failed(WriteError),
    /// Writing works again, and the log says how many records are missing.
    Recovered {
        /// How many.
        dropped: u64,
    },
}

/// Why records could not be written.
#[derive(Debug)]
pub struct WriteError {
    name: String,
    source: io::Error,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, source } = self;
        write!(
            f,
            "cannot write to {name}: {source}; records are dropped and counted"
        )?;
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                f.write_str(" until there is room; free some space")
            }
            _ => f.write_str(" until writing works again"),
        }
    }
}

impl std::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// A destination of records.
#[derive(Debug)]
pub struct Sink {
    format: Format,
    target: Target,
    /// What is to be written next: whole records.
    buffer: Vec<u8>,
    /// The records in `buffer`, in order.
    marks: Vec<Mark>,
    /// What the log does not say yet to be missing.
    missing: Option<Missing>,
    dropped: u64,
    closed: bool,
}

/// A record in the buffer.
#[derive(Debug)]
struct Mark {
    /// Where it ends in the buffer.
    end: usize,
    head: Head,
}

#[derive(Clone, Debug)]
struct Head {
    seq: u64,
    time: String,
    boot_ns: Big,
}

/// Records in a row that were dropped.
#[derive(Clone, Debug)]
struct Missing {
    count: u64,
    from: String,
    last: Head,
}

impl Sink {
    /// Standard output.
    ///
    /// # Errors
    ///
    /// When its descriptor cannot be duplicated.
    pub fn stdout(format: Format) -> io::Result<Self> {
        Ok(Self::new(format, Target::stdout()?))
    }

    /// A file, made for its owner alone (mode 0600); symbolic links are not followed.
    ///
    /// # Errors
    ///
    /// When it cannot be made or added to, or is in use by another portwatch.
    pub fn file(format: Format, path: &Path, if_exists: IfExists) -> Result<Self, OpenError> {
        Ok(Self::new(format, open::open(path, if_exists)?))
    }

    fn new(format: Format, target: Target) -> Self {
        Self {
            format,
            target,
            buffer: Vec::new(),
            marks: Vec::new(),
            missing: None,
            dropped: 0,
            closed: false,
        }
    }

    /// Takes a record; it is written when enough has come together, or at the next [`Sink::flush`].
    pub fn record(&mut self, record: &Record) -> Outcome {
        if self.closed {
            return Outcome::Closed;
        }
        if self.marks.is_empty()
            && let Some(missing) = &self.missing
        {
            // One piece with the record behind it: where only this fits, nothing has been gained.
            let lost = missing.record();
            self.render(&lost);
        }
        self.render(record);
        let Record {
            seq,
            time,
            boot_ns,
            body: _,
        } = record;
        let head = Head {
            seq: *seq,
            time: time.clone(),
            boot_ns: *boot_ns,
        };
        self.marks.push(Mark {
            end: self.buffer.len(),
            head,
        });
        if self.buffer.len() >= FLUSH_AT {
            self.flush()
        } else {
            Outcome::Fine
        }
    }

    /// Writes what is waiting; to be called whenever no further record is at hand, and at the end.
    pub fn flush(&mut self) -> Outcome {
        if self.closed {
            return Outcome::Closed;
        }
        if self.marks.is_empty() {
            return Outcome::Fine;
        }
        let ends: Vec<usize> = self.marks.iter().map(|mark| mark.end).collect();
        let written = self.target.write(&self.buffer, &ends);
        self.buffer.clear();
        let unwritten = self.marks.split_off(written.whole);
        let recovered = if self.marks.is_empty() {
            None
        } else {
            self.missing.take()
        };
        self.marks.clear();
        match written.error {
            None => recovered.map_or(Outcome::Fine, |missing| Outcome::Recovered {
                dropped: missing.count,
            }),
            Some(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Outcome::Closed
            }
            Some(source) => {
                let first = self.missing.is_none();
                self.drop_records(unwritten);
                if first {
                    Outcome::Failed(WriteError {
                        name: self.target.name().to_owned(),
                        source,
                    })
                } else {
                    Outcome::Fine
                }
            }
        }
    }

    /// How many records were dropped so far because they could not be written.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    fn render(&mut self, record: &Record) {
        match &mut self.format {
            Format::Json => json::to_line(record, &mut self.buffer),
            Format::Text(text) => {
                // Writing to memory does not fail.
                let result = text.record(record, &mut self.buffer);
                debug_assert!(result.is_ok(), "{result:?}");
            }
        }
    }

    fn drop_records(&mut self, marks: Vec<Mark>) {
        for Mark { head, .. } in marks {
            self.dropped += 1;
            match &mut self.missing {
                Some(missing) => {
                    missing.count += 1;
                    missing.last = head;
                }
                None => {
                    self.missing = Some(Missing {
                        count: 1,
                        from: head.time.clone(),
                        last: head,
                    });
                }
            }
        }
        if let Format::Text(text) = &mut self.format {
            text.forget();
        }
    }
}

impl Missing {
    /// The record that stands for those that are missing. It has the place of the last of them in the order of `seq`.
    fn record(&self) -> Record {
        let Self {
            count,
            from,
            last: Head { seq, time, boot_ns },
        } = self;
        let lost = Lost {
            kind: "output".to_owned(),
            count: *count,
            from: from.clone(),
            to: time.clone(),
        };
        Record {
            seq: *seq,
            time: time.clone(),
            boot_ns: *boot_ns,
            body: Body::Lost(lost),
        }
    }
}

#[cfg(test)]
mod tests;
