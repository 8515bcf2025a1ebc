//! What would have changed the kernel's answer: the rule, asked again with one fact changed.
//!
//! A change is offered only if the rule then allows every pair of the attempt, not only the one that is named. Where
//! more sockets were on the port than could be looked at, no change is known to suffice, so the text is silent about this
//! very call, and each remedy says for how many sockets it was confirmed.

mod condition;
mod order;
mod sockets;

use crate::prelude::*;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::{
    socket::{Side, State},
    verdict::Cause,
};

use super::rule::{
    self, Port, Ruling, Transport,
    case::{Case, Other},
    kind::Kind,
};

/// One fact that could have been different.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// `SO_REUSEADDR` on the new socket.
    ReuseAddrOnBinder,
    /// `SO_REUSEADDR` on the others.
    ReuseAddrOnOthers,
    /// `SO_REUSEPORT` on the new socket.
    ReusePortOnBinder,
    /// `SO_REUSEPORT` on the others.
    ReusePortOnOthers,
    /// All sockets made by one user.
    OneUser,
    /// No reuseport program or group on the new socket yet.
    GroupLater,
    /// `IPV6_V6ONLY` on the new socket.
    V6OnlyOnBinder,
    /// `IPV6_V6ONLY` on the others.
    V6OnlyOnOthers,
    /// A specific address for the new socket.
    SpecificBinder,
    /// Specific addresses for the others.
    SpecificOthers,
    /// The sockets closed that a close takes from the port at once.
    Closed,
    /// The conflicting connections gone for good, what they leave behind included.
    Ended,
    /// The conflicting `TIME_WAIT` over. Its time must be known.
    Expired,
}

/// Changes that together turn the answer; none of them could be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counterfactual(Vec<Change>);

/// Remedies, and what this very call would have succeeded with.
///
/// `causes` are those that hold, the one to act on first.
pub(super) fn of(case: &Case<'_>, causes: &[Cause]) -> (Vec<String>, Vec<String>) {
    let mut remedies = order::without_the_rule(case, causes);
    if causes.first() == Some(&Cause::ReleasedJustNow) {
        remedies.push(order::again(case));
    } else {
        let now = by_relevance(counterfactuals(case), causes);
        let orders = now
            .iter()
            .filter_map(|found| order::order(case, causes, found));
        remedies.extend(orders);
        remedies.extend(order::close_on_exec(case, causes));
        remedies.extend(order::take_over(case, causes));
    }
    if case.partial {
        return (remedies, Vec::new());
    }
    let refused = case.when_refused();
    let then = by_relevance(counterfactuals(&refused), causes);
    let closed = then.contains(&Counterfactual(vec![Change::Closed]));
    let mut conditions: Vec<String> = then
        .iter()
        .map(|found| condition::condition(&refused, found))
        .collect();
    conditions.extend(
        closed
            .then(|| condition::closed_on_exec(&refused))
            .flatten(),
    );
    (remedies, conditions)
}

/// What the cause is about comes first.
fn by_relevance(mut found: Vec<Counterfactual>, causes: &[Cause]) -> Vec<Counterfactual> {
    use Change::{
        GroupLater, OneUser, ReusePortOnBinder, ReusePortOnOthers, SpecificBinder, SpecificOthers,
        V6OnlyOnBinder, V6OnlyOnOthers,
    };
    let relevant: &[Change] = match causes.first() {
        Some(Cause::DualStack) => &[V6OnlyOnBinder, V6OnlyOnOthers],
        Some(Cause::WildcardOverlap) => &[SpecificBinder, SpecificOthers],
        Some(Cause::ReuseportUid | Cause::ReuseportMissing) => {
            &[ReusePortOnBinder, ReusePortOnOthers, OneUser, GroupLater]
        }
        _ => &[],
    };
    found.sort_by_key(|found| !found.0.iter().any(|change| relevant.contains(change)));
    found
}

/// Every change that the rule confirms for all sockets of the case.
pub(super) fn counterfactuals(case: &Case<'_>) -> Vec<Counterfactual> {
    use Change::{
        Closed, Ended, Expired, GroupLater, OneUser, ReuseAddrOnBinder, ReuseAddrOnOthers,
        ReusePortOnBinder, ReusePortOnOthers, SpecificBinder, SpecificOthers, V6OnlyOnBinder,
        V6OnlyOnOthers,
    };
    let Some(primary) = case.primary() else {
        return Vec::new();
    };
    if case.call.port != Port::Explicit {
        return Vec::new();
    }
    let bound = matches!(primary.kind, Kind::Listener | Kind::Bound);
    let candidates: [(bool, &[Change]); 8] = [
        (true, &[Closed]),
        (true, &[ReuseAddrOnBinder, ReuseAddrOnOthers]),
        (
            primary.kind == Kind::Listener && can_share(case),
            &[ReusePortOnBinder, ReusePortOnOthers, OneUser, GroupLater],
        ),
        (bound, &[V6OnlyOnBinder]),
        (bound, &[V6OnlyOnOthers]),
        (bound, &[SpecificBinder]),
        (bound, &[SpecificOthers]),
        (true, &[Expired]),
    ];
    let mut found: Vec<Counterfactual> = Vec::new();
    for (applies, base) in candidates {
        let confirmed = applies.then(|| extended(case, base)).flatten();
        found.extend(confirmed.filter(|confirmed| !found.contains(confirmed)));
    }
    if !bound && !found.contains(&Counterfactual(vec![Expired])) {
        found.extend(minimal(case, &[Ended]));
    }
    found
}

/// `base`, alone or with one more change that its leftovers need: a stopped server leaves `TIME_WAIT` behind.
fn extended(case: &Case<'_>, base: &[Change]) -> Option<Counterfactual> {
    let with = |more: &[Change]| minimal(case, &[base, more].concat());
    let more: &[Change] = match base {
        [Change::Closed] => &[Change::ReuseAddrOnBinder, Change::Expired],
        [Change::Expired] => &[],
        _ => &[Change::ReuseAddrOnBinder],
    };
    with(&[]).or_else(|| more.iter().find_map(|change| with(&[*change])))
}

/// `changes` without those that are not needed; `None` if all together do not suffice.
fn minimal(case: &Case<'_>, changes: &[Change]) -> Option<Counterfactual> {
    let reuses = |changes: &[Change]| {
        changes.contains(&Change::ReuseAddrOnBinder) || changes.contains(&Change::ReuseAddrOnOthers)
    };
    let mut needed = changes.to_vec();
    if !confirms(case, &needed) {
        return None;
    }
    for change in changes.iter().rev() {
        let less: Vec<Change> = needed
            .iter()
            .copied()
            .filter(|other| other != change)
            .collect();
        if confirms(case, &less) {
            needed = less;
        }
    }
    // A client does not set it before connect(), so it is no use to tell a server to.
    let in_vain = reuses(&needed) && has_client_time_wait(case);
    (!in_vain && !needed.is_empty()).then_some(Counterfactual(needed))
}

/// True if the rule allows every pair after these changes.
pub(super) fn confirms(case: &Case<'_>, changes: &[Change]) -> bool {
    let mut binder = case.binder.clone();
    for change in changes {
        change.of_binder(case, &mut binder);
    }
    case.others
        .iter()
        .filter(|other| !changes.iter().any(|change| change.removes(case, other)))
        .all(|other| {
            let mut existing = other.side.clone();
            for change in changes {
                change.of_existing(case, other, &mut existing);
            }
            matches!(
                rule::conflict(case.call, &binder, &existing),
                Ruling::Allowed(_)
            )
        })
}

impl Change {
    fn of_binder(self, case: &Case<'_>, side: &mut Side) {
        match self {
            Self::ReuseAddrOnBinder => side.reuse = side.reuse.max(1),
            Self::ReusePortOnBinder => side.reuseport = true,
            Self::OneUser => side.uid = Some(0),
            Self::GroupLater => side.reuseport_group = false,
            Self::V6OnlyOnBinder => side.v6only |= is_v6_wildcard(side.addr),
            Self::SpecificBinder if is_wildcard(side.addr) => side.addr = unused(case, side.addr),
            _ => {}
        }
    }

    fn of_existing(self, case: &Case<'_>, other: &Other<'_>, side: &mut Side) {
        if other.blocker.kernel_socket {
            // Nobody has its options in hand.
            return;
        }
        match self {
            Self::ReuseAddrOnOthers => side.reuse = side.reuse.max(1),
            Self::ReusePortOnOthers => side.reuseport = true,
            Self::OneUser => side.uid = Some(0),
            // What it has accepted has inherited the option. An outgoing connection has its own.
            Self::V6OnlyOnOthers if !other.outgoing => side.v6only = true,
            Self::SpecificOthers if is_closable(case, other) && is_wildcard(side.addr) => {
                side.addr = unused(case, side.addr);
            }
            _ => {}
        }
    }

    fn removes(self, case: &Case<'_>, other: &Other<'_>) -> bool {
        match self {
            Self::Closed => is_closable(case, other),
            Self::Ended => matches!(
                other.kind,
                Kind::Connection | Kind::Detached | Kind::TimeWait
            ),
            Self::Expired => other.kind == Kind::TimeWait && other.blocker.expires_in_ms.is_some(),
            _ => false,
        }
    }
}

/// True if closing it frees its port at once. A TCP connection goes on: it has to tell its peer.
pub(super) fn is_closable(case: &Case<'_>, other: &Other<'_>) -> bool {
    let at_once = case.call.transport == Transport::Udp
        || matches!(other.blocker.state, State::Listen | State::Bound);
    at_once && !other.blocker.kernel_socket
}

/// True if the conflicting sockets could have set `SO_REUSEPORT`: no client does, nor the kernel.
fn can_share(case: &Case<'_>) -> bool {
    !case.uncleared().any(|other| {
        other.blocker.kernel_socket || (other.outgoing && other.kind != Kind::Listener)
    })
}

fn has_client_time_wait(case: &Case<'_>) -> bool {
    case.uncleared()
        .any(|other| other.kind == Kind::TimeWait && other.outgoing)
}

fn is_wildcard(addr: IpAddr) -> bool {
    addr.to_canonical().is_unspecified()
}

fn is_v6_wildcard(addr: IpAddr) -> bool {
    addr.is_ipv6() && addr.is_unspecified()
}

/// A specific address of that family which no socket of the case has: it stands for any other address.
fn unused(case: &Case<'_>, like: IpAddr) -> IpAddr {
    let taken = |addr: &IpAddr| {
        case.requested.addr == *addr || case.others.iter().any(|other| other.side.addr == *addr)
    };
    let candidates = (0..=u16::MAX).map(|n| match like {
        // The blocks that are set apart for documentation.
        IpAddr::V4(_) => Ipv4Addr::from(0xc000_0200 + u32::from(n)).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n).into(),
    });
    candidates
        .into_iter()
        .find(|addr| !taken(addr))
        .unwrap_or(like)
}

#[cfg(test)]
mod tests;
