//! What becomes of `TIME_WAIT`s: as the kernel side tells it, and where it tells their beginning alone, as far as it can
//! be concluded.

use crate::prelude::*;
use alloc::vec::Drain;

use portwatch_common::{
    endpoint::Endpoint,
    event::{
        attempt::Candidate,
        owner::Owner as RawOwner,
        socket::{Socket, state},
        time_wait::{self as raw, Recheck, Rechecked, action, flag, reason},
    },
    maps::RECHECKS,
};

use super::{
    Assembler, Surroundings,
    attempt::{given, ip},
};
use crate::{
    memory::time_waits::{Connection, Live},
    model::{
        number::Big,
        process::Owner,
        record::{Body, Record},
        socket::{Address, State},
        time_wait::{Action, Reason, ReusedBy, TimeWait},
    },
};

/// The capability's name in `start` records.
pub(super) const CAPABILITY: &str = "time_waits";
/// Until one is looked at again that is overdue: the timer wheel fires late.
const AGAIN_NS: u64 = 1_000_000_000;
/// How long overdue one is forgotten that cannot be looked at.
const GIVE_UP_NS: u64 = 10_000_000_000;
/// Batches of [`RECHECKS`] that are looked at in one go.
const BATCHES: usize = 64;
/// Shorter times between two readings of clocks are no suspension of the machine.
const SUSPENSION_NS: u64 = 100_000_000;

/// How one ended.
#[derive(Clone, Copy, Default)]
pub(super) struct End {
    reason: Option<Reason>,
    reused_by: Option<ReusedBy>,
}

impl End {
    pub(super) const EXPIRED: Self = Self {
        reason: Some(Reason::Expired),
        reused_by: None,
    };
    pub(super) const UNSEEN: Self = Self {
        reason: None,
        reused_by: None,
    };

    pub(super) const fn reused(by: ReusedBy) -> Self {
        Self {
            reason: Some(Reason::Reused),
            reused_by: Some(by),
        }
    }

    fn of(raw: &raw::TimeWait) -> Self {
        match raw.reason {
            reason::EXPIRED => Self::EXPIRED,
            reason::KILLED => Self {
                reason: Some(Reason::Killed),
                reused_by: None,
            },
            reason::REUSED_BY_SYN => Self::reused(ReusedBy::Syn),
            reason::REUSED_BY_CONNECT => Self::reused(ReusedBy::Connect),
            _ => Self::UNSEEN,
        }
    }
}

impl<S: Surroundings> Assembler<S> {
    /// Looks at `TIME_WAIT`s whose time is over and at episodes that nobody goes on with, and gives their records. To be called regularly;
    /// `now_boot_ns` is `CLOCK_BOOTTIME`.
    pub fn tick(&mut self, now_boot_ns: u64) -> Drain<'_, Record> {
        self.heed_suspension();
        for _ in 0..BATCHES {
            let due = self.memory.time_waits.to_look_at(now_boot_ns, RECHECKS);
            if due.is_empty() {
                break;
            }
            self.look_at(&due, now_boot_ns);
        }
        self.give_up(now_boot_ns);
        self.told.drain(..)
    }

    pub(super) fn time_wait(&mut self, raw: &raw::TimeWait) {
        self.heed_suspension();
        let Some((connection, live)) = self.live(raw) else {
            return;
        };
        let at = raw.header.boot_ns;
        let inferred = raw.flags & flag::INFERRED != 0;
        match raw.action {
            action::ENTER => {
                let body = self.begun(Action::Enter, &live, raw.socket.expires_in_jiffies);
                if let Some(before) = self.memory.time_waits.insert(connection, live) {
                    // Two cannot be there at once.
                    self.over(&before, at, End::UNSEEN, Some(before.since_boot_ns), true);
                }
                self.tell_time_wait(at, TimeWait { inferred, ..body });
            }
            action::REARM => {
                self.memory
                    .time_waits
                    .rearm(&connection, live.due_boot_ns, live.substate);
                let body = self.begun(Action::Rearm, &live, raw.socket.expires_in_jiffies);
                self.tell_time_wait(at, TimeWait { inferred, ..body });
            }
            action::LEAVE => {
                let known = self.memory.time_waits.get(&connection);
                let known = known.is_some_and(|known| known.recheck.tw == live.recheck.tw);
                let begun = known
                    .then(|| self.memory.time_waits.remove(&connection))
                    .flatten();
                let since = begun.map(|begun| begun.since_boot_ns);
                self.over(&live, at, End::of(raw), since, inferred);
            }
            _ => {}
        }
    }

    /// The mini-socket of an event, as if it had begun there.
    fn live(&self, raw: &raw::TimeWait) -> Option<(Connection, Live)> {
        let socket = &raw.socket;
        let local = end(&socket.local)?;
        let remote = end(&socket.remote)?;
        given(socket.sk)?;
        let at = raw.header.boot_ns;
        let connection = Connection::new(socket.netns, local, remote);
        // The kernel side may have had to forget who left it.
        let owner = match self.memory.time_waits.get(&connection) {
            Some(known) if raw.owner.roles == 0 && known.recheck.tw == socket.sk => known.owner,
            _ => raw.owner,
        };
        let live = Live {
            since_boot_ns: at,
            due_boot_ns: at.saturating_add(self.jiffies_in_ns(socket.expires_in_jiffies)),
            local,
            remote,
            netns: socket.netns,
            substate: substate(socket.substate),
            owner,
            recheck: Recheck {
                net: raw.net,
                tw: socket.sk,
                cookie: socket.cookie,
                hash: raw.hash,
                ports: u32::from(local.port) << 16 | u32::from(remote.port),
            },
            told: raw.flags & flag::INFERRED == 0,
        };
        Some((connection, live))
    }

    /// Those of one batch. Each is gone, or is looked at again later.
    fn look_at(&mut self, due: &[Connection], now_boot_ns: u64) {
        let list: Vec<Recheck> = due
            .iter()
            .filter_map(|connection| self.memory.time_waits.get(connection))
            .map(|live| live.recheck)
            .collect();
        let rows = self.surroundings.recheck(&list);
        let mut rows = rows.iter().peekable();
        for (connection, asked) in due.iter().zip(&list) {
            match rows.next_if(|row| row.tw == asked.tw) {
                Some(row) if row.present == 0 => {
                    if let Some(live) = self.memory.time_waits.remove(connection) {
                        let since = Some(live.since_boot_ns);
                        self.over(&live, row.boot_ns, End::EXPIRED, since, true);
                    }
                }
                Some(row) => self.still_there(connection, row, now_boot_ns),
                None => self.unseen(connection, now_boot_ns),
            }
        }
    }

    fn still_there(&mut self, connection: &Connection, row: &Rechecked, now_boot_ns: u64) {
        if row.expires_in_jiffies <= 0 {
            let again = now_boot_ns.saturating_add(AGAIN_NS);
            self.memory.time_waits.look_again(connection, again);
            return;
        }
        // It was due, and has time left: its timer was set again.
        let left = self.jiffies_in_ns(row.expires_in_jiffies);
        let due = row.boot_ns.saturating_add(left);
        let substate = substate(u8::try_from(row.substate).unwrap_or(0));
        self.memory.time_waits.rearm(connection, due, substate);
        if let Some(live) = self.memory.time_waits.get(connection).cloned() {
            let body = self.begun(Action::Rearm, &live, row.expires_in_jiffies);
            let inferred = true;
            self.tell_time_wait(row.boot_ns, TimeWait { inferred, ..body });
        }
    }

    /// One that could not be looked at. What became of it will not be known: nothing is said.
    fn unseen(&mut self, connection: &Connection, now_boot_ns: u64) {
        let time_waits = &mut self.memory.time_waits;
        let due = time_waits
            .get(connection)
            .map_or(0, |live| live.due_boot_ns);
        if due.saturating_add(GIVE_UP_NS) < now_boot_ns {
            time_waits.remove(connection);
        } else {
            time_waits.look_again(connection, now_boot_ns.saturating_add(AGAIN_NS));
        }
    }

    /// Tells the end of one.
    pub(super) fn over(
        &mut self,
        live: &Live,
        boot_ns: u64,
        end: End,
        since_boot_ns: Option<u64>,
        inferred: bool,
    ) {
        self.time_wait_over(live, boot_ns, inferred);
        let body = TimeWait {
            expires_in_ms: None,
            lasted_ms: since_boot_ns.map(|since| boot_ns.saturating_sub(since) / 1_000_000),
            reason: end.reason,
            reused_by: end.reused_by,
            inferred,
            ..self.begun(Action::Leave, live, 0)
        };
        self.tell_time_wait(boot_ns, body);
    }

    fn begun(&mut self, action: Action, live: &Live, expires_in_jiffies: i64) -> TimeWait {
        TimeWait {
            action,
            local: live.local,
            remote: live.remote,
            netns: live.netns,
            substate: live.substate,
            expires_in_ms: Some(self.jiffies_in_ns(expires_in_jiffies) / 1_000_000),
            lasted_ms: None,
            owner: self.owner_of(&Socket::NONE, &live.owner),
            reason: None,
            reused_by: None,
            cookie: given(live.recheck.cookie).map(Big),
            inferred: false,
        }
    }

    /// Whose a socket is, as far as was recorded.
    pub(super) fn owner_of(&mut self, socket: &Socket, owner: &RawOwner) -> Option<Owner> {
        let candidate = Candidate {
            socket: *socket,
            owner: *owner,
        };
        self.owner(&candidate, &[])
    }

    fn tell_time_wait(&mut self, boot_ns: u64, body: TimeWait) {
        self.tell(boot_ns, Body::TimeWait(Box::new(body)));
    }

    fn jiffies_in_ns(&self, jiffies: i64) -> u64 {
        let jiffies = u64::try_from(jiffies).unwrap_or(0);
        jiffies.saturating_mul(1_000_000_000) / self.surroundings.ticks_per_second().max(1)
    }

    /// The kernel's timers stand still while the machine is suspended, and its clock of events does not.
    fn heed_suspension(&mut self) {
        let suspended = self.surroundings.suspended_ns();
        let more = suspended.saturating_sub(self.suspended_ns);
        if more > SUSPENSION_NS {
            self.memory.time_waits.postpone(more);
            self.memory.episodes.postpone(more);
            self.suspended_ns = suspended;
        }
    }
}

/// One end of a connection, or of what may become one.
pub(super) fn end(endpoint: &Endpoint) -> Option<Address> {
    let port = endpoint.port;
    ip(endpoint).map(|addr| Address { addr, port })
}

const fn substate(raw: u8) -> Option<State> {
    match raw {
        state::TIME_WAIT => Some(State::TimeWait),
        state::FIN_WAIT2 => Some(State::FinWait2),
        _ => None,
    }
}
