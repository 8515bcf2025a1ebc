//! Retries of one program for one address are one episode: who blocked it for how long, and how it ended.

use crate::prelude::*;
use crate::words::errno;
use alloc::vec::Drain;

use portwatch_common::event::attempt as raw;

use super::{Assembler, Surroundings, attempt::given, freed};
use crate::{
    memory::{
        episodes::{Failed, Key, Open, Spell},
        processes,
    },
    model::{
        attempt::{Attempt, Op},
        episode::{Episode, Outcome, Segment},
        record::{Body, Record},
        socket::Proto,
    },
    verdict::Identity,
};

/// What time can cure: somebody else gives the port back, the address comes up, the privilege is given.
const ERRNOS: [i32; 3] = [errno::EADDRINUSE, errno::EADDRNOTAVAIL, errno::EACCES];

/// How episodes can end unseen.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    /// Successes are left out, but for those on a port that was asked for in vain.
    pub(super) failures_only: bool,
    /// When something was lost that may have been an attempt: `CLOCK_BOOTTIME`, ns.
    pub(super) lost_ns: Option<u64>,
}

impl Doubts {
    /// True if a success may have been missed.
    fn of(&self, key: &Key, open: &Open) -> bool {
        let unseen = self.failures_only && key.port.is_none_or(|port| port == 0);
        unseen || self.lost_ns.is_some_and(|lost| lost >= open.last_ns)
    }
}

/// Kinds of losses behind which the end of an episode may hide: without what it asked for, or without its program, an attempt
/// belongs to none.
pub(super) const HIDE_ENDS: [&str; 3] = ["attempt", "entry", "process"];

fn ms(ns: u64) -> u64 {
    ns / 1_000_000
}

/// Whose episode it would be. Nobody's where it is not known what was asked for, or where the kernel acts for itself.
fn key(attempt: &Attempt) -> Option<Key> {
    let proto = match attempt.proto {
        Proto::Unknown => return None,
        Proto::Mptcp => Proto::Tcp,
        proto => proto,
    };
    if attempt.facts.kernel || (attempt.port.is_none() && proto != Proto::Unix) {
        return None;
    }
    Some(Key {
        netns: attempt.netns?,
        proto,
        addr: attempt.addr.clone()?,
        port: attempt.port,
        who: Identity::of(&attempt.process),
    })
}

fn who(attempt: &Attempt) -> Option<processes::Key> {
    let process = &attempt.process;
    Some(processes::Key::new(process.pid, process.start_boot_ns?.0))
}

impl<S: Surroundings> Assembler<S> {
    /// Takes a failure in that has been judged: gives the number of its episode.
    pub(super) fn failed(
        &mut self,
        raw: &raw::Attempt,
        walk: Option<&raw::Walk>,
        attempt: &Attempt,
    ) -> Option<u64> {
        let failure = attempt.failure.as_ref()?;
        if !ERRNOS.contains(&attempt.errno.cast_signed()) {
            return None;
        }
        let (key, who) = (key(attempt)?, who(attempt)?);
        let boot_ns = raw.header.boot_ns;
        let failed = Failed {
            boot_ns,
            time: self.clock.rfc3339(boot_ns),
            began_ns: given(raw.enter_ns).unwrap_or(raw.returned_ns),
            listens: attempt.op != Op::Bind,
            cause: failure.verdict.as_ref().map(|verdict| verdict.cause),
            owner: failure.in_the_way().cloned(),
            standing: walk.and_then(|walk| freed::standing(walk, failure)),
        };
        let who = (who, &attempt.process);
        let (id, evicted) = self.memory.episodes.fail(&key, attempt.proto, who, failed);
        if let Some((key, open)) = evicted {
            self.tell_episode(boot_ns, &key, open, Outcome::Open);
        }
        Some(id)
    }

    /// The episode that a success ends.
    pub(super) fn succeeded(&mut self, raw: &raw::Attempt, attempt: &Attempt) -> Option<Episode> {
        if self.memory.episodes.is_empty() {
            return None;
        }
        let (key, who) = (key(attempt)?, who(attempt)?);
        let mut open = self.memory.episodes.succeed(&key, attempt.op != Op::Bind)?;
        let boot_ns = raw.header.boot_ns;
        open.again(boot_ns, &self.clock.rfc3339(boot_ns));
        open.by(who, &attempt.process);
        open.proto = attempt.proto;
        let freed_by = self.freed_by(&key, &open, boot_ns);
        Some(Episode {
            attempts: open.failures + 1,
            freed_by,
            ..episode(&key, open, Outcome::Bound)
        })
    }

    /// Tells of episodes that nobody goes on with.
    pub(super) fn give_up(&mut self, now_ns: u64) {
        if now_ns < self.episodes_due_ns {
            return;
        }
        self.episodes_due_ns = now_ns.saturating_add(LOOK_NS);
        for key in self.memory.episodes.to_look_at(now_ns) {
            let Some(open) = self.memory.episodes.get(&key) else {
                continue;
            };
            let tried = open.tried().to_vec();
            let ended = self.have_ended(&tried);
            let open = self.memory.episodes.get(&key);
            if open.is_some_and(|open| open.is_over(now_ns, ended))
                && let Some(open) = self.memory.episodes.remove(&key)
            {
                let outcome = self.unseen_or(&key, &open, Outcome::GaveUp);
                self.tell_episode(now_ns, &key, open, outcome);
            }
        }
    }

    /// Attempts may have been missed until now: no episode that is open is known to be over.
    pub const fn doubt(&mut self) {
        self.doubts.lost_ns = Some(u64::MAX);
    }

    /// Tells of all episodes that are open: tracing ends.
    pub fn finish(&mut self, now_boot_ns: u64) -> Drain<'_, Record> {
        for (key, open) in self.memory.episodes.drain() {
            let outcome = if self.have_ended(open.tried()) {
                self.unseen_or(&key, &open, Outcome::GaveUp)
            } else {
                Outcome::Open
            };
            self.tell_episode(now_boot_ns, &key, open, outcome);
        }
        self.told.drain(..)
    }

    fn unseen_or(&self, key: &Key, open: &Open, outcome: Outcome) -> Outcome {
        if self.doubts.of(key, open) {
            Outcome::Open
        } else {
            outcome
        }
    }

    fn have_ended(&mut self, tried: &[processes::Key]) -> bool {
        // The one that tried last is the most likely to live.
        tried.iter().rev().all(|key| {
            let known = self.memory.processes.get(*key);
            if known.is_some_and(|known| known.exited_boot_ns.is_some()) {
                return true;
            }
            let start = known.and_then(|known| known.process.start_boot_ns);
            start.is_some_and(|start| self.surroundings.is_alive(key.pid, start.0) == Some(false))
        })
    }

    fn tell_episode(&mut self, boot_ns: u64, key: &Key, open: Open, outcome: Outcome) {
        let body = episode(key, open, outcome);
        self.tell(boot_ns, Body::Episode(Box::new(body)));
    }
}

/// How often episodes are looked through.
const LOOK_NS: u64 = 1_000_000_000;

fn episode(key: &Key, open: Open, outcome: Outcome) -> Episode {
    let by = open.spells().map(segment).collect();
    Episode {
        id: open.id,
        process: open.process,
        proto: open.proto,
        addr: Some(key.addr.clone()),
        port: key.port,
        netns: Some(key.netns),
        first: open.first,
        last: open.last,
        attempts: open.failures,
        processes: open.processes,
        outcome,
        blocked_ms: ms(open.blocked_ns),
        by,
        by_omitted: open.omitted,
        freed_by: None,
    }
}

fn segment(spell: &Spell) -> Segment {
    Segment {
        cause: spell.cause,
        owner: spell.owner.clone(),
        ms: ms(spell.ns),
        attempts: spell.attempts,
    }
}
