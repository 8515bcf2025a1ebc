//! Lines of a process, as they come.

use std::{
    io::{BufRead, BufReader, Read},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// Lines of a process, read by a thread of their own, so that the process never waits for us.
pub struct Lines {
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<Progress>,
    changed: Condvar,
}

/// What has been read.
#[derive(Default)]
struct Progress {
    kept: Vec<Vec<u8>>,
    dropped: u64,
    ended: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    /// Reads to the end, and keeps the lines that are wanted (without their ends); the others are counted.
    pub fn read(from: impl Read + Send + 'static, wanted: fn(&[u8]) -> bool) -> Self {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let reader = thread::spawn(move || {
            for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
                let mut state = theirs.lock();
                if wanted(&line) {
                    state.kept.push(line);
                    theirs.changed.notify_all();
                } else {
                    state.dropped += 1;
                }
            }
            theirs.lock().ended = true;
            theirs.changed.notify_all();
        });
        Self {
            shared,
            reader: Some(reader),
        }
    }

    /// Waits until the lines that were kept give an answer.
    pub fn wait_until<T>(
        &self,
        what: &str,
        patience: Duration,
        mut look: impl FnMut(&[Vec<u8>]) -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + patience;
        let mut state = self.shared.lock();
        loop {
            if let Some(answer) = look(&state.kept) {
                return Ok(answer);
            }
            if state.ended {
                bail!("portwatch ended before {what}");
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("no {what} within {patience:?}");
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the end. Gives the lines that were kept, and the number of the others.
    pub fn finish(&mut self, patience: Duration) -> Result<(Vec<Vec<u8>>, u64)> {
        let deadline = Instant::now() + patience;
        let mut state = self.shared.lock();
        while !state.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("portwatch did not end within {patience:?}");
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let kept = std::mem::take(&mut state.kept);
        let dropped = state.dropped;
        drop(state);
        let reader = self.reader.take().context("finished twice")?;
        if reader.join().is_err() {
            bail!("the reader panicked");
        }
        Ok((kept, dropped))
    }
}
