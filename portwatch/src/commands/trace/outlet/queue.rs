//! Records on their way to the thread that writes them.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::sink::Missing;
use portwatch_core::model::record::{Body, Record};

/// How far an output may fall behind.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Limits {
    /// What may wait for an output, in units of [`weight`].
    pub(in super::super) waiting: usize,
    /// How long it may hold the teller up, if it writes nothing meanwhile.
    pub(in super::super) hold_up: Duration,
}

/// By how much longer it may do so for every unit that it writes. So an output that writes a thousand records a second or
/// more slows the teller down, and what is too much is lost in the kernel, for all outputs alike; a slower one is left
/// behind, and loses its own records.
const EARNED: Duration = Duration::from_millis(1);

/// How long an output may still hold the teller up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    most: Duration,
    left: Duration,
    /// What had been written when that was counted.
    written: u64,
}

impl Patience {
    pub(super) const fn new(most: Duration) -> Self {
        Self {
            most,
            left: most,
            written: 0,
        }
    }

    /// Takes in what has been written by now.
    fn earn(&mut self, written: u64) {
        let units = u32::try_from(written - self.written).unwrap_or(u32::MAX);
        self.written = written;
        self.left = self.most.min(self.left.saturating_add(EARNED * units));
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            waiting: 16 * 1024,
            hold_up: Duration::from_secs(1),
        }
    }
}

/// What a record takes: a unit is a kilobyte or two.
pub(super) fn weight(record: &Record) -> usize {
    let Body::Attempt(attempt) = &record.body else {
        return 1;
    };
    let blockers = attempt.failure.iter().flat_map(|failure| &failure.blockers);
    1 + blockers
        .map(|blocker| 1 + blocker.holders.len())
        .sum::<usize>()
}

/// Records that are handed over together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// What is missing before them.
    pub(super) gap: Option<Missing>,
    pub(super) records: Vec<Arc<Record>>,
    pub(super) weight: usize,
}

/// What a thread is to do next.
#[derive(Debug)]
pub(super) enum Work {
    Write(Batch),
    /// Nothing more is at hand.
    Flush,
    Reopen,
    End,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    emptied: Condvar,
}

#[derive(Debug, Default)]
struct State {
    work: VecDeque<Work>,
    /// Of everything that has not been written, what is being written included.
    weight: usize,
    /// Units that have been written since the beginning.
    written: u64,
    /// Nothing more will be written.
    ended: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands work over, however much is waiting.
    pub(super) fn push(&self, work: Work) {
        let mut state = self.lock();
        if state.ended {
            return;
        }
        if matches!(
            (&work, state.work.back()),
            (Work::Reopen, Some(Work::Reopen))
        ) {
            return;
        }
        if let Work::Write(batch) = &work {
            state.weight += batch.weight;
        }
        state.work.push_back(work);
        self.filled.notify_one();
    }

    /// Waits until there is room, so that no more than `most` waits, as long as there is patience. False if there is none.
    pub(super) fn wait_for_room(
        &self,
        weight: usize,
        most: usize,
        patience: &mut Patience,
    ) -> bool {
        let mut state = self.lock();
        loop {
            patience.earn(state.written);
            if state.ended || state.weight == 0 || state.weight + weight <= most {
                return true;
            }
            if patience.left.is_zero() {
                return false;
            }
            let begin = Instant::now();
            let waited = self.emptied.wait_timeout(state, patience.left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            patience.left = patience.left.saturating_sub(begin.elapsed());
        }
    }

    /// Everything that was handed over is written.
    pub(super) fn is_empty(&self) -> bool {
        let state = self.lock();
        state.weight == 0 || state.ended
    }

    pub(super) fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// The thread's side: waits for work. `written`: the weight of what it was given last; `unflushed`: something that it
    /// was given is not flushed.
    pub(super) fn next(&self, written: usize, unflushed: bool) -> Work {
        let mut state = self.lock();
        state.weight -= written;
        state.written += written as u64;
        self.emptied.notify_one();
        loop {
            if let Some(work) = state.work.pop_front() {
                return work;
            }
            if unflushed {
                return Work::Flush;
            }
            state = self
                .filled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The thread's side: nothing more will be written.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        state.work.clear();
        self.emptied.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(weight: usize) -> Work {
        Work::Write(Batch {
            weight,
            ..Batch::default()
        })
    }

    #[test]
    fn patience_is_earned_by_writing() {
        let second = Duration::from_secs(1);
        let mut patience = Patience::new(second);
        patience.left = Duration::ZERO;
        patience.earn(10);
        patience.earn(10);
        assert_eq!(patience.left, Duration::from_millis(10));
        patience.earn(1_000_000);
        assert_eq!(patience.left, second);
    }

    #[test]
    fn a_full_queue_is_waited_for_as_long_as_there_is_patience() {
        let queue = Queue::default();
        let mut none = Patience::new(Duration::ZERO);
        assert!(queue.wait_for_room(9, 8, &mut none), "one always fits");
        queue.push(batch(5));
        assert!(queue.wait_for_room(3, 8, &mut none));
        assert!(!queue.wait_for_room(4, 8, &mut none));
        assert!(matches!(queue.next(0, false), Work::Write(_)));
        assert!(!queue.is_empty(), "it is being written");
        assert!(matches!(queue.next(5, true), Work::Flush));
        assert!(queue.is_empty());
        assert!(queue.wait_for_room(8, 8, &mut none));

        queue.push(batch(8));
        queue.end();
        assert!(queue.wait_for_room(8, 8, &mut none), "nobody reads it");
    }
}
