//! Where the teller's records go, and when it has been enough.
//!
//! Every output has a thread of its own, which writes from a queue of bounded size: a disk or a reader that is slow, or
//! stands still, keeps neither the teller nor the other outputs from going on.

mod enough;
mod messages;
mod output;
mod queue;

use std::{io, sync::Arc};

use tokio::sync::oneshot;

use self::{enough::Enough, messages::Messenger, output::Output};
pub(super) use self::{output::Unfinished, queue::Limits};
use crate::sink::Sink;
use portwatch_core::model::record::{Body, Record};

/// Hands records to the outputs, and counts attempts.
#[derive(Debug)]
pub(super) struct Outlet {
    outputs: Vec<Output>,
    /// Attempts that were written.
    told: u64,
    /// Attempts that may still be written.
    remaining: Option<u64>,
    /// Told when nothing more is wanted: the count is reached, or all readers are gone.
    enough: Arc<Enough>,
    messenger: Messenger,
}

/// Records that are not in an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dropped {
    /// The log.
    pub(super) name: String,
    /// How many.
    pub(super) count: u64,
}

impl Outlet {
    /// Starts the threads.
    pub(super) fn new(
        sinks: Vec<Sink>,
        remaining: Option<u64>,
        enough: oneshot::Sender<()>,
        limits: Limits,
    ) -> io::Result<Self> {
        let enough = Arc::new(Enough::new(sinks.len(), enough));
        let messenger = Messenger::start()?;
        let start = |sink| Output::start(sink, limits, &enough, messenger.voice());
        Ok(Self {
            outputs: sinks.into_iter().map(start).collect::<io::Result<_>>()?,
            told: 0,
            remaining,
            enough,
            messenger,
        })
    }

    /// Attempts that were written.
    pub(super) const fn told(&self) -> u64 {
        self.told
    }

    /// True when as many attempts have been written as were asked for.
    pub(super) fn is_full(&self) -> bool {
        self.remaining == Some(0)
    }

    /// To ask which outputs have not come to their end.
    pub(super) fn unfinished(&self) -> Unfinished {
        self.outputs.iter().collect()
    }

    /// Takes a record; the outputs have it when enough has come together, or at the next [`Outlet::flush`].
    pub(super) fn write(&mut self, record: Record) {
        if matches!(record.body, Body::Attempt(_)) {
            self.told += 1;
            self.remaining = self.remaining.map(|remaining| remaining.saturating_sub(1));
        }
        let record = Arc::new(record);
        for output in &mut self.outputs {
            output.write(&record);
        }
        if self.is_full() {
            self.enough.tell();
        }
    }

    /// To be called whenever no further record is at hand.
    pub(super) fn flush(&mut self) {
        for output in &mut self.outputs {
            output.flush();
        }
    }

    /// Opens the files again under their names.
    pub(super) fn reopen(&mut self) {
        for output in &mut self.outputs {
            output.reopen();
        }
    }

    /// Waits until everything is written. Gives what is not.
    pub(super) fn finish(mut self) -> Vec<Dropped> {
        // All of them first: one that stands still must not keep the others from their end.
        for output in &mut self.outputs {
            output.end();
        }
        let dropped = self
            .outputs
            .into_iter()
            .filter_map(Output::finish)
            .collect();
        self.messenger.finish();
        dropped
    }
}

#[cfg(test)]
mod tests;
