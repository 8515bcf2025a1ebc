//! When nothing more is wanted.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::oneshot;

/// Tells once that it has been enough.
#[derive(Debug)]
pub(super) struct Enough {
    /// Outputs that are read.
    open: AtomicUsize,
    sender: Mutex<Option<oneshot::Sender<()>>>,
}

impl Enough {
    pub(super) const fn new(outputs: usize, sender: oneshot::Sender<()>) -> Self {
        Self {
            open: AtomicUsize::new(outputs),
            sender: Mutex::new(Some(sender)),
        }
    }

    /// The reader of an output is gone.
    pub(super) fn closed(&self) {
        if self.open.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.tell();
        }
    }

    pub(super) fn tell(&self) {
        let mut sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = sender.take() {
            // When nobody waits any more, the end has begun.
            let _ = sender.send(());
        }
    }
}
