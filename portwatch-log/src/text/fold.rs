//! Retries that fail as the one before did: what is left out of the text, and when it is said that they go on.

use std::num::NonZeroUsize;

use lru::LruCache;

use portwatch_core::model::{
    attempt::{Attempt, Failure},
    process::Process,
    verdict::Cause,
};

/// Episodes whose last failure is remembered: more than can be open at a time.
const EPISODES: usize = 4096;

/// What of a failure is shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// All of it.
    Full,
    /// One line: it is this attempt of its episode, so long (ns) after the first.
    Still { attempts: u64, ns: u64 },
    /// Nothing.
    Nothing,
}

/// The episodes that are being shown.
#[derive(Clone, Debug)]
pub(super) struct Folds {
    episodes: LruCache<u64, Told>,
}

/// What has been shown of an episode.
#[derive(Clone, Debug)]
struct Told {
    first_boot_ns: u64,
    attempts: u64,
    cause: Option<Cause>,
    owner: Option<Process>,
}

impl Told {
    fn says(&self, failure: &Failure) -> bool {
        let same_owner = match (&self.owner, failure.in_the_way()) {
            (Some(a), Some(b)) => a.is_same(b),
            (None, None) => true,
            _ => false,
        };
        same_owner && self.cause == cause(failure)
    }
}

pub(super) fn cause(failure: &Failure) -> Option<Cause> {
    failure.verdict.as_ref().map(|verdict| verdict.cause)
}

impl Default for Folds {
    fn default() -> Self {
        let capacity = NonZeroUsize::new(EPISODES).unwrap_or(NonZeroUsize::MIN);
        Self {
            episodes: LruCache::new(capacity),
        }
    }
}

impl Folds {
    /// What is to be shown of an attempt.
    pub(super) fn heed(&mut self, attempt: &Attempt, boot_ns: u64) -> Shown {
        let Some((failure, id)) = attempt
            .failure
            .as_ref()
            .and_then(|failure| Some((failure, failure.episode?)))
        else {
            return Shown::Full;
        };
        let Some(told) = self.episodes.get_mut(&id) else {
            let told = Told {
                first_boot_ns: boot_ns,
                attempts: 1,
                cause: cause(failure),
                owner: failure.in_the_way().cloned(),
            };
            self.episodes.put(id, told);
            return Shown::Full;
        };
        told.attempts += 1;
        if !told.says(failure) {
            told.cause = cause(failure);
            told.owner = failure.in_the_way().cloned();
            return Shown::Full;
        }
        if is_round(told.attempts) {
            return Shown::Still {
                attempts: told.attempts,
                ns: boot_ns.saturating_sub(told.first_boot_ns),
            };
        }
        Shown::Nothing
    }

    /// An episode is over.
    pub(super) fn forget(&mut self, id: u64) {
        self.episodes.pop(&id);
    }

    /// What was shown last has not been written: all of it is shown again.
    pub(super) fn forget_all(&mut self) {
        self.episodes.clear();
    }
}

/// 10, 100, 1000 and so on.
fn is_round(attempts: u64) -> bool {
    attempts
        .checked_ilog10()
        .is_some_and(|digits| digits > 0 && attempts == 10_u64.pow(digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_ten_are_round() {
        let round: Vec<u64> = (0..=100_000).filter(|n| is_round(*n)).collect();
        assert_eq!(round, [10, 100, 1000, 10_000, 100_000]);
    }
}
