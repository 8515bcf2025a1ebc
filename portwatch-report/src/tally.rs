//! Counters by key, bounded: what there is no room for is counted together.

use std::{collections::HashMap, hash::Hash};

use foldhash::fast::RandomState;

/// Keys that are counted each by itself.
const KEYS: usize = 1 << 14;

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Attempts.
    pub attempts: u64,
    /// Of these, failures.
    pub failures: u64,
}

/// Counters by key.
#[derive(Clone, Debug)]
pub struct Tally<K> {
    counts: HashMap<K, Count, RandomState>,
    /// All keys for which there was no room.
    pub others: Count,
}

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self {
            counts: HashMap::default(),
            others: Count::default(),
        }
    }
}

impl<K: Copy + Eq + Hash + Ord> Tally<K> {
    /// Counts an attempt.
    pub fn add(&mut self, key: K, failed: bool) {
        let room = self.counts.len() < KEYS;
        let count = match self.counts.get_mut(&key) {
            Some(count) => count,
            None if room => self.counts.entry(key).or_default(),
            None => &mut self.others,
        };
        count.attempts += 1;
        count.failures += u64::from(failed);
    }

    /// Those with failures, the most first.
    #[must_use]
    pub fn worst(&self) -> Vec<(K, Count)> {
        let mut rows: Vec<_> = self
            .counts
            .iter()
            .filter(|(_, count)| count.failures > 0)
            .map(|(key, count)| (*key, *count))
            .collect();
        rows.sort_unstable_by(|(a, left), (b, right)| {
            right.failures.cmp(&left.failures).then_with(|| a.cmp(b))
        });
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_come_first_and_the_harmless_not_at_all() {
        let mut tally = Tally::default();
        for (key, failed) in [(1, true), (2, true), (2, true), (3, false), (4, true)] {
            tally.add(key, failed);
        }
        let keys: Vec<_> = tally.worst().iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, [2, 1, 4]);
    }

    #[test]
    fn what_there_is_no_room_for_is_counted_together() {
        let mut tally = Tally::default();
        for key in 0..KEYS as u32 + 3 {
            tally.add(key, true);
            tally.add(key, false);
        }
        assert_eq!(tally.worst().len(), KEYS);
        assert_eq!(
            tally.others,
            Count {
                attempts: 6,
                failures: 3
            }
        );
    }
}
