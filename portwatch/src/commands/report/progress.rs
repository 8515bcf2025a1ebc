//! How far a long work has come, on the terminal.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// What is done sooner needs no words.
const PATIENCE: Duration = Duration::from_millis(500);
const STEP: Duration = Duration::from_millis(200);

/// A line on standard error that tells how much is read, and is gone when this is dropped.
pub(super) struct Progress {
    done: Arc<AtomicU64>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Of `total` bytes; `None` where that is not known.
    pub(super) fn new(total: Option<u64>) -> Self {
        let done = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = channel();
        let read = Arc::clone(&done);
        let thread = thread::spawn(move || {
            let mut wait = PATIENCE;
            let mut shown = false;
            while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                anstream::eprint!("\r{}", line(read.load(Ordering::Relaxed), total));
                shown = true;
                wait = STEP;
            }
            if shown {
                anstream::eprint!("\r{:40}\r", "");
            }
        });
        Self {
            done,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Adds the bytes that it is called with.
    pub(super) fn counter(&self) -> impl FnMut(u64) + Send + 'static {
        let done = Arc::clone(&self.done);
        move |bytes| {
            done.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn line(done: u64, total: Option<u64>) -> String {
    let mib = done >> 20;
    match total {
        Some(total @ 1..) => {
            let percent = u128::from(done) * 100 / u128::from(total);
            format!(
                "reading: {:3} %, {mib} of {} MiB ",
                percent.min(100),
                total >> 20
            )
        }
        _ => format!("reading: {mib} MiB "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_where_the_whole_is_known() {
        assert_eq!(
            line(64 << 20, Some(128 << 20)),
            "reading:  50 %, 64 of 128 MiB "
        );
        assert_eq!(line(64 << 20, None), "reading: 64 MiB ");
        assert_eq!(line(0, Some(0)), "reading: 0 MiB ");
    }
}
