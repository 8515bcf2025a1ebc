//! Where the teller's records go, and when it has been enough.

use tokio::sync::oneshot;

use crate::{
    model::record::{Body, Record},
    output::sink::{Outcome, Sink},
};

/// Writes records, and counts attempts.
#[derive(Debug)]
pub(super) struct Outlet {
    sink: Sink,
    /// Attempts that were told.
    told: u64,
    /// Attempts that may still be told.
    remaining: Option<u64>,
    /// Told when nothing more is wanted: the count is reached, or the reader is gone.
    enough: Option<oneshot::Sender<()>>,
}

impl Outlet {
    pub(super) const fn new(
        sink: Sink,
        remaining: Option<u64>,
        enough: oneshot::Sender<()>,
    ) -> Self {
        Self {
            sink,
            told: 0,
            remaining,
            enough: Some(enough),
        }
    }

    /// Attempts that were told.
    pub(super) const fn told(&self) -> u64 {
        self.told
    }

    /// Records that could not be written.
    pub(super) const fn dropped(&self) -> u64 {
        self.sink.dropped()
    }

    /// True when as many attempts have been told as were asked for.
    pub(super) fn is_full(&self) -> bool {
        self.remaining == Some(0)
    }

    pub(super) fn write(&mut self, record: &Record) {
        if matches!(record.body, Body::Attempt(_)) {
            self.told += 1;
            self.remaining = self.remaining.map(|remaining| remaining.saturating_sub(1));
        }
        let outcome = self.sink.record(record);
        self.heed(outcome);
        if self.is_full() {
            self.end();
        }
    }

    pub(super) fn flush(&mut self) {
        let outcome = self.sink.flush();
        self.heed(outcome);
    }

    fn heed(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Fine => {}
            Outcome::Closed => self.end(),
            Outcome::Failed(error) => anstream::eprintln!("portwatch: {error}"),
            Outcome::Recovered { dropped } => {
                anstream::eprintln!(
                    "portwatch: writing works again; {dropped} records are missing"
                );
            }
        }
    }

    fn end(&mut self) {
        if let Some(enough) = self.enough.take() {
            // When nobody waits any more, the end has begun.
            let _ = enough.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{
        samples,
        sink::{Format, IfExists},
    };

    #[test]
    fn attempts_alone_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.jsonl");
        let sink = Sink::file(Format::Json, &path, IfExists::Refuse).unwrap();
        let (sender, mut enough) = oneshot::channel();
        let mut outlet = Outlet::new(sink, Some(2), sender);
        for record in [
            samples::start(),
            samples::of_port(samples::taken()),
            samples::of(samples::attempt()),
            samples::of_time_wait(samples::entered()),
        ] {
            outlet.write(&record);
            assert!(!outlet.is_full());
        }
        assert_eq!(enough.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        outlet.write(&samples::of(samples::attempt()));
        assert!(outlet.is_full());
        assert_eq!(enough.try_recv(), Ok(()));
        outlet.flush();
        assert_eq!((outlet.told(), outlet.dropped()), (2, 0));
        let log = std::fs::read_to_string(&path).unwrap();
        assert_eq!(log.lines().count(), 5);
    }
}
