//! Episodes that have not ended: one for each program and address.

use crate::prelude::*;
use core::num::NonZeroUsize;

use lru::LruCache;

use super::{processes, releases::Named};
use crate::{
    model::{
        number::Big,
        process::Process,
        socket::{Proto, State},
        verdict::Cause,
    },
    verdict::Identity,
};

/// Episodes that are remembered; up to some 40 KiB each, most of them 2.
pub const CAPACITY: usize = 1024;
/// Spells of an episode that are remembered, the last one among them.
pub const SPELLS: usize = 32;
/// Processes of an episode that may still live.
pub const PROCESSES: usize = 64;

/// An episode without a word from its program is looked at after this time: nobody restarts anything later that fast.
const QUIET_NS: u64 = 60_000_000_000;
/// One whose program lives, and has not tried for so long, is over.
const SILENT_NS: u64 = 600_000_000_000;
/// Until it is looked at again, at least.
const AGAIN_NS: u64 = 5_000_000_000;

/// Whose episode it is, and what about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Who tries.
    pub who: Identity,
    /// Inode of the network namespace.
    pub netns: u32,
    /// Protocol. MPTCP is TCP here: programs fall back from the one to the other.
    pub proto: Proto,
    /// The address or path as requested.
    pub addr: String,
    /// The port as requested.
    pub port: Option<u16>,
}

/// A socket that was in the way the last time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which one.
    pub socket: Named,
    /// Its state.
    pub state: State,
    /// Whose it is.
    pub owner: Option<Process>,
    /// The only process that had a descriptor of it; its owner, where none was found that had.
    pub holder: Option<processes::Key>,
    /// That process was found to have one.
    pub found_open: bool,
}

/// A failure, as far as its episode needs it.
#[derive(Clone, Debug)]
pub struct Failed {
    /// When it was reported: `CLOCK_BOOTTIME`, ns.
    pub boot_ns: u64,
    /// The same, RFC 3339.
    pub time: String,
    /// When the call began: `CLOCK_BOOTTIME`, ns.
    pub began_ns: u64,
    /// It was a `listen()` that failed.
    pub listens: bool,
    /// Why.
    pub cause: Option<Cause>,
    /// The owner of the blocking socket.
    pub owner: Option<Process>,
    /// Every socket that was; `None` if it is not known that these are all.
    pub standing: Option<Vec<Standing>>,
}

/// A time during which one cause and one owner blocked it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spell {
    /// Why.
    pub cause: Option<Cause>,
    /// The owner of the blocking socket.
    pub owner: Option<Process>,
    /// For how long.
    pub ns: u64,
    /// Failures.
    pub attempts: u64,
}

impl Spell {
    fn of(failed: &Failed) -> Self {
        Self {
            cause: failed.cause,
            owner: failed.owner.clone(),
            ns: 0,
            attempts: 1,
        }
    }

    fn goes_on(&self, failed: &Failed) -> bool {
        let same_owner = match (&self.owner, &failed.owner) {
            (Some(a), Some(b)) => a.is_same(b),
            (None, None) => true,
            _ => false,
        };
        self.cause == failed.cause && same_owner
    }
}

/// An episode that has not ended.
#[derive(Clone, Debug)]
pub struct Open {
    /// Its number.
    pub id: u64,
    /// Who tried, the last time.
    pub process: Process,
    /// The protocol, the last time.
    pub proto: Proto,
    /// The first failure: RFC 3339.
    pub first: String,
    /// The last attempt: RFC 3339.
    pub last: String,
    /// The last attempt: `CLOCK_BOOTTIME`, ns. Never earlier than one that was reported before it: times step back between
    /// CPUs.
    pub last_ns: u64,
    /// From the first failure to the last attempt.
    pub blocked_ns: u64,
    /// Failures.
    pub failures: u64,
    /// Different processes that tried.
    pub processes: u64,
    /// A `listen()` failed: only one that succeeds is the end.
    pub listens: bool,
    /// When the call of the last failure began: `CLOCK_BOOTTIME`, ns.
    pub began_ns: u64,
    /// What was in the way the last time, if that is all known.
    pub standing: Option<Vec<Standing>>,
    /// Spells that are over.
    over: Vec<Spell>,
    /// The one that lasts.
    spell: Spell,
    /// Spells that found no room.
    pub omitted: u64,
    /// Those of its processes that may live, as far as is known.
    tried: Vec<processes::Key>,
    /// Start of the youngest of all: a younger one is sure to be new.
    youngest: Option<Big>,
    longest_gap_ns: u64,
    /// Since when nobody has tried: the last attempt, and later if the machine was suspended since.
    quiet_since_ns: u64,
    /// When it is looked at next.
    look_ns: u64,
}

impl Open {
    fn begin(id: u64, proto: Proto, who: (processes::Key, &Process), failed: Failed) -> Self {
        let (key, process) = who;
        Self {
            id,
            process: process.clone(),
            proto,
            first: failed.time.clone(),
            last_ns: failed.boot_ns,
            blocked_ns: 0,
            failures: 1,
            processes: 1,
            listens: failed.listens,
            began_ns: failed.began_ns,
            over: Vec::new(),
            spell: Spell::of(&failed),
            omitted: 0,
            tried: vec![key],
            youngest: process.start_boot_ns,
            longest_gap_ns: 0,
            quiet_since_ns: failed.boot_ns,
            look_ns: failed.boot_ns.saturating_add(QUIET_NS),
            standing: failed.standing,
            last: failed.time,
        }
    }

    /// It was tried again, at this time. Until then, the last refusal's cause blocked it.
    pub fn again(&mut self, boot_ns: u64, time: &str) {
        let passed = boot_ns.saturating_sub(self.last_ns);
        self.spell.ns += passed;
        self.blocked_ns += passed;
        self.last_ns = self.last_ns.max(boot_ns);
        time.clone_into(&mut self.last);
        let gap = boot_ns.saturating_sub(self.quiet_since_ns);
        self.longest_gap_ns = self.longest_gap_ns.max(gap);
        self.quiet_since_ns = self.last_ns;
        self.look_ns = self.last_ns.saturating_add(QUIET_NS);
    }

    /// This one has tried.
    pub fn by(&mut self, key: processes::Key, process: &Process) {
        if self.tried.last() == Some(&key) {
            return;
        }
        self.process = process.clone();
        if let Some(place) = self.tried.iter().position(|known| *known == key) {
            self.tried.remove(place);
        } else {
            let full = self.tried.len() >= PROCESSES;
            let is_new = !full || process.start_boot_ns > self.youngest;
            self.processes += u64::from(is_new);
            if full {
                // The one that has not tried for longest: most likely it has ended.
                self.tried.remove(0);
            }
        }
        self.tried.push(key);
        self.youngest = self.youngest.max(process.start_boot_ns);
    }

    fn fail(&mut self, proto: Proto, who: (processes::Key, &Process), failed: Failed) {
        self.again(failed.boot_ns, &failed.time);
        self.by(who.0, who.1);
        self.proto = proto;
        self.failures += 1;
        self.listens |= failed.listens;
        if self.spell.goes_on(&failed) {
            self.spell.attempts += 1;
        } else {
            let before = core::mem::replace(&mut self.spell, Spell::of(&failed));
            if self.over.len() + 1 < SPELLS {
                self.over.push(before);
            } else {
                self.omitted += 1;
            }
        }
        self.began_ns = failed.began_ns;
        self.standing = failed.standing;
    }

    /// Who blocked it, in sequence.
    pub fn spells(&self) -> impl Iterator<Item = &Spell> {
        self.over.iter().chain([&self.spell])
    }

    /// The processes that tried and may live, the one that tried last at the end.
    #[must_use]
    pub fn tried(&self) -> &[processes::Key] {
        &self.tried
    }

    /// True if nobody will try again, as far as anyone can tell: its processes have ended (or not), and nobody has tried
    /// for longer than whoever starts it again has waited so far.
    #[must_use]
    pub fn is_over(&self, now_ns: u64, ended: bool) -> bool {
        let quiet = now_ns.saturating_sub(self.quiet_since_ns);
        let gap = self.longest_gap_ns;
        (ended && quiet >= gap.saturating_mul(2).max(QUIET_NS))
            || quiet >= gap.saturating_mul(4).max(SILENT_NS)
    }
}

/// Episodes that have not ended.
#[derive(Debug)]
pub struct Episodes {
    open: LruCache<Key, Open>,
    begun: u64,
    evicted: u64,
}

impl Default for Episodes {
    fn default() -> Self {
        Self::with_capacity(NonZeroUsize::new(CAPACITY).unwrap_or(NonZeroUsize::MIN))
    }
}

impl Episodes {
    /// Remembers so many.
    #[must_use]
    pub fn with_capacity(capacity: NonZeroUsize) -> Self {
        Self {
            open: LruCache::new(capacity),
            begun: 0,
            evicted: 0,
        }
    }

    /// True if none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Takes a failure in: gives the number of its episode, and the episode that had to make room.
    pub fn fail(
        &mut self,
        key: &Key,
        proto: Proto,
        who: (processes::Key, &Process),
        failed: Failed,
    ) -> (u64, Option<(Key, Open)>) {
        if let Some(open) = self.open.get_mut(key) {
            open.fail(proto, who, failed);
            return (open.id, None);
        }
        self.begun += 1;
        let open = Open::begin(self.begun, proto, who, failed);
        let evicted = self.open.push(key.clone(), open);
        self.evicted += u64::from(evicted.is_some());
        (self.begun, evicted)
    }

    /// The episode that ends with a success: of a `listen()`, or of a call that did not have to be one. It is open no more.
    pub fn succeed(&mut self, key: &Key, listens: bool) -> Option<Open> {
        let ends = listens || !self.open.peek(key)?.listens;
        ends.then(|| self.open.pop(key)).flatten()
    }

    /// Those that are to be looked at by now. Each is looked at again later.
    pub fn to_look_at(&mut self, now_ns: u64) -> Vec<Key> {
        let mut due = Vec::new();
        for (key, open) in &mut self.open {
            if open.look_ns <= now_ns {
                let quiet = now_ns.saturating_sub(open.quiet_since_ns);
                open.look_ns = now_ns.saturating_add((quiet / 4).max(AGAIN_NS));
                due.push(key.clone());
            }
        }
        due
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Open> {
        self.open.peek(key)
    }

    /// One is over.
    pub fn remove(&mut self, key: &Key) -> Option<Open> {
        self.open.pop(key)
    }

    /// All are over: in the order in which they began.
    pub fn drain(&mut self) -> Vec<(Key, Open)> {
        let mut all: Vec<_> = core::iter::from_fn(|| self.open.pop_lru()).collect();
        all.sort_by_key(|(_, open)| open.id);
        all
    }

    /// Nobody could try for so long: the machine was suspended.
    pub fn postpone(&mut self, ns: u64) {
        for (_, open) in &mut self.open {
            open.quiet_since_ns = open.quiet_since_ns.saturating_add(ns);
            open.look_ns = open.look_ns.saturating_add(ns);
        }
    }

    /// How many were dropped for room.
    #[must_use]
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }
}

#[cfg(test)]
mod tests;
