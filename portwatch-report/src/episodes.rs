//! Episodes: those that lasted longest, and those with the most attempts; and blockers by what they blocked.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

use foldhash::fast::RandomState;

use super::{
    lane::Place,
    names::{Actor, Name},
};
use portwatch_core::model::{episode::Outcome, freed::FreedHow, verdict::Cause};

/// Episodes that are kept, those that lasted longest.
pub const KEPT: usize = 10_000;
/// Of those with the most attempts.
const RETRIED: usize = 100;
/// Episodes that no record of has been seen.
const PENDING: usize = 1 << 14;
/// Blockers that are counted each by itself.
const BLOCKERS: usize = 1 << 14;
/// Spells of an episode that no record of has been seen.
const SPELLS: usize = 64;
/// Ports of a blocker that are named.
const PORTS: usize = 8;
/// Those that it blocked, too.
const WHOM: usize = 8;

/// An episode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Episode {
    /// Where.
    pub place: Place,
    /// The address as requested.
    pub addr: Name,
    /// Who tried, the last time.
    pub who: Actor,
    /// First failure: nanoseconds since 1970.
    pub first: i64,
    /// Last attempt.
    pub last: i64,
    /// How many.
    pub attempts: u64,
    /// Of how many processes; 0 where that is not known.
    pub processes: u64,
    /// `None` where the log ends before the episode.
    pub outcome: Option<Outcome>,
    /// How long.
    pub blocked_ms: u64,
    /// Who blocked it, in sequence.
    pub by: Vec<Spell>,
    /// What made it free.
    pub freed: Option<(FreedHow, i64, Actor)>,
}

/// A time during which one cause and one owner blocked it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spell {
    /// The cause.
    pub cause: Option<Cause>,
    /// Whose socket.
    pub who: Actor,
    /// How long.
    pub ms: u64,
    /// Failures.
    pub attempts: u64,
}

/// Who blocks or is blocked: its name, its unit and its container, whatever its process id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "named after the fields of `model::process`")]
pub struct Blocker {
    pub host: Name,
    pub comm: Name,
    pub unit: Name,
    pub container: Name,
}

/// What it did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blame {
    /// Attempts that failed because of it.
    pub failures: u64,
    /// How long episodes of others were held up by it, as their records say.
    pub ms: u64,
    /// Ports; at most eight.
    pub ports: Vec<u16>,
    /// There are more.
    pub more_ports: bool,
    /// Whose attempts failed, and how many; at most eight, the first that came.
    pub whom: Vec<(Blocker, u64)>,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Episodes {
    longest: Top,
    retried: Top,
    /// By run and id: episodes that are known from their attempts alone.
    pending: HashMap<(u32, u64), Episode, RandomState>,
    blockers: HashMap<Blocker, Blame, RandomState>,
    /// How many there were.
    pub count: u64,
    /// Episodes and blockers that there was no room for.
    pub dropped: u64,
}

impl Episodes {
    /// A failure that belongs to the episode with this id of a run.
    pub fn failure(&mut self, run: u32, id: u64, failure: Episode) {
        let room = self.pending.len() < PENDING;
        match self.pending.get_mut(&(run, id)) {
            Some(episode) => {
                episode.attempts += 1;
                episode.first = episode.first.min(failure.first);
                episode.last = episode.last.max(failure.last);
                episode.blocked_ms =
                    u64::try_from(episode.last - episode.first).unwrap_or(0) / 1_000_000;
                episode.who = failure.who;
                // Whoever blocked it did so until now. Behind spells that are not kept nobody knows.
                if let [earlier @ .., last] = &mut episode.by[..]
                    && earlier.len() + 1 < SPELLS
                {
                    let before: u64 = earlier.iter().map(|spell| spell.ms).sum();
                    last.ms = episode.blocked_ms.saturating_sub(before);
                }
                for spell in failure.by {
                    let room = episode.by.len() < SPELLS;
                    match episode.by.last_mut() {
                        Some(last) if (last.cause, last.who) == (spell.cause, spell.who) => {
                            last.attempts += 1;
                        }
                        _ if room => episode.by.push(spell),
                        _ => {}
                    }
                }
            }
            None if room => {
                self.pending.insert((run, id), failure);
            }
            None => self.dropped += 1,
        }
    }

    /// An episode's own record; `None` if it is not wanted.
    pub fn told(&mut self, run: u32, id: u64, episode: Option<Episode>) {
        self.pending.remove(&(run, id));
        if let Some(episode) = episode {
            self.add(episode);
        }
    }

    fn add(&mut self, episode: Episode) {
        self.count += 1;
        self.retried
            .add(episode.attempts, RETRIED, self.count, || episode.clone());
        let ms = episode.blocked_ms;
        self.longest.add(ms, KEPT, self.count, || episode);
    }

    /// Blames `blocker` for a failure of `whom` on `port`, or for time.
    pub fn blame(&mut self, blocker: Blocker, port: u16, whom: Option<Blocker>, ms: u64) {
        let room = self.blockers.len() < BLOCKERS;
        let blame = match self.blockers.get_mut(&blocker) {
            Some(blame) => blame,
            None if room => self.blockers.entry(blocker).or_default(),
            None => {
                self.dropped += 1;
                return;
            }
        };
        blame.ms += ms;
        if let Some(whom) = whom {
            blame.failures += 1;
            let room = blame.whom.len() < WHOM;
            match blame.whom.iter_mut().find(|(key, _)| *key == whom) {
                Some((_, failures)) => *failures += 1,
                None if room => blame.whom.push((whom, 1)),
                None => {}
            }
        }
        if port != 0 && !blame.ports.contains(&port) {
            if blame.ports.len() < PORTS {
                blame.ports.push(port);
            } else {
                blame.more_ports = true;
            }
        }
    }

    /// No more is to come: episodes without a record of their own are reported as far as they were seen.
    pub fn finish(&mut self) {
        let mut pending: Vec<_> = self.pending.drain().map(|(_, episode)| episode).collect();
        pending.sort_by_key(|episode| (episode.first, episode.place));
        for episode in pending {
            self.add(episode);
        }
    }

    /// Those that are kept, by their beginning.
    #[must_use]
    pub fn in_order(&self) -> Vec<&Episode> {
        let mut episodes: Vec<_> = self.longest.episodes().collect();
        episodes.sort_by_key(|episode| (episode.first, episode.place));
        episodes
    }

    /// Those with the most attempts.
    #[must_use]
    pub fn most_retried(&self) -> Vec<&Episode> {
        let mut episodes: Vec<_> = self.retried.episodes().collect();
        episodes.sort_by_key(|episode| (Reverse(episode.attempts), episode.first, episode.place));
        episodes
    }

    /// Those that lasted longest.
    #[must_use]
    pub fn longest(&self) -> Vec<&Episode> {
        let mut episodes: Vec<_> = self.longest.episodes().collect();
        episodes.sort_by_key(|episode| (Reverse(episode.blocked_ms), episode.first, episode.place));
        episodes
    }

    /// Blockers, the worst first: by time, then by failures.
    #[must_use]
    pub fn worst_blockers(&self) -> Vec<(Blocker, &Blame)> {
        let mut rows: Vec<_> = self
            .blockers
            .iter()
            .map(|(key, blame)| (*key, blame))
            .collect();
        rows.sort_unstable_by_key(|(key, blame)| (Reverse((blame.failures, blame.ms)), *key));
        rows
    }
}

/// The episodes with the greatest keys; of equal ones the earliest.
#[derive(Debug, Default)]
struct Top {
    heap: BinaryHeap<Reverse<Ranked>>,
}

#[derive(Debug)]
struct Ranked {
    key: u64,
    /// Later ones give way.
    number: Reverse<u64>,
    episode: Episode,
}

impl Top {
    fn add(&mut self, key: u64, limit: usize, number: u64, episode: impl FnOnce() -> Episode) {
        if self.heap.len() >= limit {
            match self.heap.peek() {
                Some(Reverse(least)) if least.key < key => drop(self.heap.pop()),
                _ => return,
            }
        }
        self.heap.push(Reverse(Ranked {
            key,
            number: Reverse(number),
            episode: episode(),
        }));
    }

    fn episodes(&self) -> impl Iterator<Item = &Episode> {
        self.heap.iter().map(|Reverse(ranked)| &ranked.episode)
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.key, self.number).cmp(&(other.key, other.number))
    }
}
