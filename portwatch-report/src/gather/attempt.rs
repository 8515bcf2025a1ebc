//! Attempts: counted, marked on their lane, with their blockers.

use super::{
    super::{
        lane::{Kind, Mark, Place, Space},
        line::{Attempt, Blocker, Text},
        names::{Actor, Name},
    },
    Gather,
};
use crate::episodes::{Episode, Spell};
use portwatch_core::model::{attempt::Op, socket::Proto};

impl Gather {
    pub(super) fn attempt(&mut self, time: i64, attempt: &Attempt<'_>, wanted: bool) {
        let port = match attempt.port {
            Some(0) | None => attempt.bound_port.unwrap_or(0),
            Some(port) => port,
        };
        if !self.wanted.port(port) {
            return;
        }
        let failed = attempt.result.as_str() != "ok";
        let cause = attempt.verdict.as_ref().map(|verdict| verdict.cause);
        let addr = attempt
            .addr
            .as_ref()
            .map_or(Name::NONE, |addr| self.names.name(addr.as_str()));
        let unix = attempt.proto == Proto::Unix;
        let place = Place {
            host: self.run.host,
            proto: Space::from(attempt.proto),
            port,
            netns: attempt.netns.unwrap_or(0),
            path: if unix { addr } else { Name::NONE },
        };
        let Some(lane) = self.lane(place) else {
            return;
        };
        let who = self.actor(Some(attempt.process));
        if !failed && attempt.op != Op::Bind {
            let local = attempt.addr.as_ref().map_or("", |addr| addr.as_str());
            let local = self.address_of(local, port);
            self.listens(lane, attempt.cookie, (local, who), time);
        }
        for blocker in &attempt.blockers {
            if !blocker.came_later {
                self.stood(lane, blocker, time);
            }
        }
        let named = attempt.unix.iter().flat_map(|unix| &unix.sockets);
        for socket in named.clone() {
            self.had_name(lane, addr, socket, time);
        }
        let wanted =
            wanted && (self.wanted.causes.is_empty() || failed && self.wanted.cause(cause));
        if !wanted {
            return;
        }
        self.total.attempts += 1;
        self.total.failures += u64::from(failed);
        if failed {
            self.causes.add(cause, true);
        }
        if let Some(process) = self.names.process(who).copied() {
            self.programs.add(process.comm, failed);
            if process.unit != Name::NONE {
                self.units.add(process.unit, failed);
            }
            if process.container != Name::NONE {
                self.containers.add(process.container, failed);
            }
        }
        let blocker = match (primary(attempt), named.clone().next()) {
            (Some(blocker), _) => Some((Kind::of(blocker.state), self.owner(blocker))),
            (None, socket) => socket.map(|socket| self.holder(socket)),
        };
        if let Some(blamed) = blocker.and_then(|(_, owner)| self.blocker(owner)) {
            let whom = self.blocker(who).unwrap_or_default();
            self.episodes.blame(blamed, port, Some(whom), 0);
        }
        if let (true, Some(id)) = (failed, attempt.episode) {
            let episode = Episode {
                place,
                addr,
                who,
                first: time,
                last: time,
                attempts: 1,
                processes: 0,
                outcome: None,
                blocked_ms: 0,
                by: vec![Spell {
                    cause,
                    who: blocker.map_or(Actor::NONE, |(_, owner)| owner),
                    ms: 0,
                    attempts: 1,
                }],
                freed: None,
            };
            self.episodes.failure(self.run.number, id, episode);
        }
        let mark = self.mark(time, attempt, who, addr, blocker);
        let lane = &mut self.lanes[lane as usize].1;
        lane.count(time, failed, cause);
        lane.marks.push(mark);
        self.added();
    }

    fn mark(
        &mut self,
        time: i64,
        attempt: &Attempt<'_>,
        who: Actor,
        addr: Name,
        blocker: Option<(Kind, Actor)>,
    ) -> Mark {
        let verdict = attempt.verdict.as_ref();
        let remedies = verdict.map_or(Name::NONE, |verdict| match &verdict.remedies[..] {
            [] => Name::NONE,
            [one] => self.names.name(one.as_str()),
            several => {
                let lines: Vec<_> = several.iter().map(Text::as_str).collect();
                self.names.name(&lines.join("\n"))
            }
        });
        Mark {
            time,
            last: time,
            failed: attempt.result.as_str() != "ok",
            op: attempt.op,
            result: self.names.name(attempt.result.as_str()),
            cause: verdict.map(|verdict| verdict.cause),
            who,
            addr,
            blocker,
            summary: verdict.map_or(Name::NONE, |verdict| {
                self.names.name(verdict.summary.as_str())
            }),
            because: verdict.map_or(Name::NONE, |verdict| {
                self.names.name(verdict.because.as_str())
            }),
            remedies,
            count: 1,
        }
    }

    /// Whose socket it is: the owner, else who has it open.
    pub(super) fn owner(&mut self, blocker: &Blocker<'_>) -> Actor {
        let holder = blocker.holders.first().map(|holder| holder.process);
        self.actor(blocker.owner.or(holder))
    }
}

/// The socket to act on.
fn primary<'a, 'b>(attempt: &'b Attempt<'a>) -> Option<&'b Blocker<'a>> {
    let blockers = &attempt.blockers;
    blockers.iter().find(|blocker| blocker.primary)
}
