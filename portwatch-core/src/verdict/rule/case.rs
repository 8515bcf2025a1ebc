//! An attempt and its blockers, laid out for the rule.

use crate::prelude::*;
use core::net::IpAddr;

use crate::model::{
    attempt::{Attempt, Blocker, BlockerCounts, Failure, Op},
    freed::Freed,
    socket::{Address, Side, SocketOption, State},
    verdict::Certainty,
};

use super::{
    Call, Port, Transport,
    kind::{self, Kind},
    primary,
    reach::Reach,
};
use crate::verdict::rule;

/// A refused attempt whose blockers have been ruled and sorted.
pub(in crate::verdict) struct Case<'a> {
    pub(in crate::verdict) attempt: &'a Attempt,
    pub(in crate::verdict) call: Call,
    pub(in crate::verdict) binder: Side,
    /// Where the binder wanted to be.
    pub(in crate::verdict) requested: Address,
    pub(in crate::verdict) others: Vec<Other<'a>>,
    /// The kernel's table was walked.
    pub(in crate::verdict) walked: bool,
    /// There may have been more sockets on the port than `others` has.
    pub(in crate::verdict) partial: bool,
    /// Nothing had the port any more when the table was walked.
    pub(in crate::verdict) free_again: bool,
    /// What gave its port back during the call.
    released: Option<&'a Freed>,
}

/// A blocker, and what the rule sees of it.
pub(in crate::verdict) struct Other<'a> {
    pub(in crate::verdict) blocker: &'a Blocker,
    pub(in crate::verdict) side: Side,
    pub(in crate::verdict) kind: Kind,
    /// The kernel picked its port for an outgoing connection.
    pub(in crate::verdict) outgoing: bool,
}

impl Other<'_> {
    /// True if it came through a listener: neither `connect()` nor `bind()` gave it its port.
    pub(in crate::verdict) fn is_accepted(&self) -> bool {
        self.blocker.connected_out == Some(false) && self.blocker.port_bound != Some(true)
    }
}

impl<'a> Case<'a> {
    /// `blockers` are those of the attempt's failure.
    pub(in crate::verdict) fn new(
        attempt: &'a Attempt,
        (call, binder): (Call, Side),
        failure: &'a Failure,
    ) -> Self {
        let others = failure.blockers.iter().map(|blocker| Other {
            blocker,
            side: existing(blocker),
            kind: Kind::of(call.transport, blocker),
            outgoing: kind::is_outgoing(call.transport, blocker),
        });
        let counts = failure.blocker_counts.as_ref();
        Self {
            attempt,
            call,
            requested: Address {
                addr: binder.addr,
                port: attempt.port.unwrap_or(0),
            },
            binder,
            others: others.collect(),
            walked: counts.is_some(),
            partial: counts.is_none_or(|counts| counts.truncated || counts.blockers_truncated),
            free_again: counts.is_some_and(BlockerCounts::is_none)
                && failure
                    .blockers
                    .iter()
                    .all(|blocker| blocker.kernel_refused),
            released: failure.released.as_ref(),
        }
    }

    /// The same without the sockets that took the port after the attempt began.
    pub(in crate::verdict) fn when_refused(&self) -> Case<'a> {
        let others = self.others.iter().filter(|other| !other.blocker.came_later);
        Case {
            attempt: self.attempt,
            call: self.call,
            binder: self.binder.clone(),
            requested: self.requested,
            others: others
                .map(|other| Other {
                    side: other.side.clone(),
                    ..*other
                })
                .collect(),
            walked: self.walked,
            partial: self.partial,
            free_again: self.free_again,
            released: self.released,
        }
    }

    /// The blocker to act on.
    pub(in crate::verdict) fn primary(&self) -> Option<&Other<'a>> {
        self.others
            .first()
            .filter(|other| primary::refused(other.blocker))
    }

    /// True if what the kernel refused for was gone a moment later.
    pub(in crate::verdict) fn is_released(&self) -> bool {
        self.free_again
            && self
                .primary()
                .is_some_and(|primary| primary.blocker.certainty == Certainty::Exact)
    }

    /// What gave its port back during the call, where nothing else is left that can have refused it.
    pub(in crate::verdict) fn gone(&self) -> Option<&'a Freed> {
        let nothing_else = self.walked
            && !self.partial
            && self.uncleared().next().is_none()
            && !self.others.iter().any(|other| other.blocker.kernel_refused);
        self.released.filter(|_| nothing_else)
    }

    /// The blockers that refused the attempt.
    pub(in crate::verdict) fn refusing(&self) -> impl Iterator<Item = &Other<'a>> {
        self.others
            .iter()
            .filter(|other| primary::refused(other.blocker))
    }

    /// The blockers that the rule does not clear: a call is sure to succeed only without all of them.
    pub(in crate::verdict) fn uncleared(&self) -> impl Iterator<Item = &Other<'a>> {
        self.others
            .iter()
            .filter(|other| other.blocker.conflicts != Some(false))
    }

    /// A socket that conflicts now, but took the port after the attempt began.
    pub(in crate::verdict) fn later(&self) -> Option<&Other<'a>> {
        self.others
            .iter()
            .find(|other| other.blocker.conflicts == Some(true) && other.blocker.came_later)
    }

    /// How its address and the binder's overlap.
    pub(in crate::verdict) fn reach(&self, other: &Other<'_>) -> Reach {
        Reach::of(&self.binder, &other.side)
    }

    /// True if the process that called has that socket itself.
    pub(in crate::verdict) fn is_own(&self, blocker: &Blocker) -> bool {
        if self.attempt.facts.kernel || blocker.kernel_socket {
            // The kernel acts in whatever process there is.
            return false;
        }
        let caller = &self.attempt.process;
        blocker
            .owner
            .as_ref()
            .is_some_and(|owner| owner.process.is_same(caller))
            || blocker
                .holders
                .iter()
                .any(|holder| holder.process.is_same(caller))
    }
}

/// What was asked for, as the rule takes it; `None` where the address or port could not be read.
pub(in crate::verdict) fn asked(attempt: &Attempt, transport: Transport) -> Option<(Call, Side)> {
    let port = match (attempt.op, attempt.port) {
        (Op::Autobind, _) | (_, Some(0)) => Port::Any,
        (Op::Bind | Op::Listen, Some(_)) => Port::Explicit,
        (Op::Bind | Op::Listen, None) => return None,
    };
    let state = match attempt.op {
        Op::Bind => State::Bound,
        Op::Listen | Op::Autobind => State::Listen,
    };
    let side = Side {
        addr: address(attempt.addr.as_deref()?)?,
        v6only: attempt.options.contains(&SocketOption::V6Only),
        device: attempt.facts.device_index,
        reuse: reuse(&attempt.options),
        reuseport: attempt.options.contains(&SocketOption::ReusePort),
        reuseport_group: attempt.options.contains(&SocketOption::ReusePortGroup),
        uid: attempt.facts.socket_uid,
        state,
    };
    Some((Call { transport, port }, side))
}

/// True if a TCP or UDP socket at `local` (`device`: index of the interface it is bound to, 0 for none) overlaps with what an
/// attempt asked for, whatever their options.
#[must_use]
pub fn overlaps(attempt: &Attempt, local: Address, v6only: bool, device: u32) -> bool {
    let asked = Transport::of(attempt.proto).and_then(|transport| asked(attempt, transport));
    asked.is_some_and(|(_, binder)| {
        let existing = Side {
            addr: local.addr,
            v6only,
            device,
            ..binder.clone()
        };
        let devices_meet = binder.device == 0 || device == 0 || binder.device == device;
        devices_meet && rule::overlap(&binder, &existing)
    })
}

/// A blocker as the rule takes it.
pub(in crate::verdict) fn existing(blocker: &Blocker) -> Side {
    Side {
        addr: blocker.local.addr,
        v6only: blocker.options.contains(&SocketOption::V6Only),
        device: blocker.device_index,
        reuse: reuse(&blocker.options),
        reuseport: blocker.options.contains(&SocketOption::ReusePort),
        reuseport_group: blocker.options.contains(&SocketOption::ReusePortGroup),
        uid: blocker.uid,
        state: blocker.state,
    }
}

fn reuse(options: &[SocketOption]) -> u8 {
    if options.contains(&SocketOption::ForceReuse) {
        2
    } else {
        u8::from(options.contains(&SocketOption::ReuseAddr))
    }
}

/// An address, with or without a scope: the kernel compares the interface apart.
fn address(text: &str) -> Option<IpAddr> {
    text.split('%').next()?.parse().ok()
}
