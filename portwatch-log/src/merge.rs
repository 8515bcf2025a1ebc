//! Several logs as one, in the order of their times.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use jiff::Timestamp;

use super::{
    input::OpenError,
    reader::{Entry, Reader},
    set::Log,
};
use portwatch_core::model::record::Body;

/// Reads logs together. What is earlier comes first, of equal times what is in the log that was named first; but each log
/// keeps its own order, even where its times step back.
#[derive(Debug)]
pub struct Merged {
    sources: Vec<Source>,
    read: Arc<AtomicU64>,
    size: Option<u64>,
}

#[derive(Debug)]
struct Source {
    reader: Reader,
    head: Option<Entry>,
    /// When `head` happened; `None` of an entry without a time, which comes at once.
    time: Option<Timestamp>,
}

impl Source {
    fn new(reader: Reader) -> Self {
        let mut source = Self {
            reader,
            head: None,
            time: None,
        };
        source.advance();
        source
    }

    fn advance(&mut self) -> Option<Entry> {
        let next = self.reader.next();
        self.time = next
            .as_ref()
            .and_then(|entry| entry.found.as_ref().ok()?.time.parse().ok());
        std::mem::replace(&mut self.head, next)
    }
}

impl Merged {
    /// Opens all files of all logs, so that none of them is renamed away while the others are read.
    ///
    /// # Errors
    ///
    /// When one of them cannot be opened.
    pub fn open(logs: &[Log]) -> Result<Self, OpenError> {
        let read = Arc::default();
        let mut readers = Vec::new();
        let mut total = Some(0);
        for (log, set) in logs.iter().enumerate() {
            let (reader, size) = Reader::open(log, set, &read)?;
            total = total
                .zip(size)
                .map(|(total, size): (u64, u64)| total + size);
            readers.push(reader);
        }
        Ok(Self {
            size: total,
            read,
            ..Self::new(readers)
        })
    }

    /// Reads these logs.
    #[must_use]
    pub fn new(readers: Vec<Reader>) -> Self {
        Self {
            sources: readers.into_iter().map(Source::new).collect(),
            read: Arc::default(),
            size: None,
        }
    }

    /// Bytes of all files, as they lie there; `None` if one is a pipe.
    #[must_use]
    pub const fn size(&self) -> Option<u64> {
        self.size
    }

    /// How many of them have been read.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Hosts of the logs that begin with a `start` record, before anything has been read.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().filter_map(|source| {
            match &source.head.as_ref()?.found.as_ref().ok()?.body {
                Body::Start(start) => Some(start.host.as_str()),
                _ => None,
            }
        })
    }
}

impl Iterator for Merged {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        let waiting = self
            .sources
            .iter_mut()
            .filter(|source| source.head.is_some());
        // The first of several that are equal.
        waiting.min_by_key(|source| source.time)?.advance()
    }
}

#[cfg(test)]
mod tests;
