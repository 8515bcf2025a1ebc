//! The sockets and processes that a counterfactual is about, by name.

use crate::prelude::*;
use core::net::IpAddr;

use crate::{
    model::{attempt::Blocker, process::Process},
    verdict::{
        rule::{
            case::{Case, Other},
            kind::Kind,
        },
        who::proxy,
        words::{name, seconds},
    },
};

use super::is_closable;

/// Whose the options of a socket are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Options {
    /// Its program's, to be set there.
    Own,
    /// A client's, whose socket got its port from `connect()`.
    Client,
    /// Nobody's any more: the listener's at the time when the connection was made.
    Copied,
}

impl Options {
    pub(super) fn of(other: &Other<'_>) -> Self {
        match other.kind {
            Kind::Listener | Kind::Bound => Self::Own,
            _ if other.outgoing => Self::Client,
            Kind::Connection if other.blocker.port_bound == Some(true) => Self::Own,
            Kind::Connection | Kind::Detached | Kind::TimeWait => Self::Copied,
        }
    }

    /// Of all these sockets; `None` if they are of different sorts.
    pub(super) fn of_all(others: &[&Other<'_>]) -> Option<Self> {
        let first = Self::of(others.first()?);
        others
            .iter()
            .all(|other| Self::of(other) == first)
            .then_some(first)
    }
}

/// The sockets that conflict because `SO_REUSEADDR` is missing.
pub(super) fn without_reuse_addr<'a, 'b>(case: &'b Case<'a>) -> Vec<&'b Other<'a>> {
    case.uncleared()
        .filter(|other| other.side.reuse == 0)
        .collect()
}

/// The conflicting sockets without `SO_REUSEPORT`.
pub(super) fn without_reuse_port<'a, 'b>(case: &'b Case<'a>) -> Vec<&'b Other<'a>> {
    case.uncleared()
        .filter(|other| !other.side.reuseport)
        .collect()
}

/// The sockets in the way that a close takes from the port.
pub(super) fn closing<'a, 'b>(case: &'b Case<'a>) -> Vec<&'b Other<'a>> {
    case.uncleared()
        .filter(|other| is_closable(case, other))
        .collect()
}

/// True if whoever had these has ended, and nobody was found who has any of them: there is nobody to ask.
pub(super) fn are_abandoned(others: &[&Other<'_>]) -> bool {
    others.iter().all(|other| {
        let owner = other.blocker.owner.as_ref();
        owner.is_some_and(|owner| owner.alive == Some(false))
            && name::holders(other.blocker).is_empty()
    })
}

/// The sockets in the way that are bound to every address.
pub(super) fn wildcards<'a, 'b>(case: &'b Case<'a>) -> Vec<&'b Other<'a>> {
    case.uncleared()
        .filter(|other| super::is_wildcard(other.side.addr))
        .collect()
}

/// Every process that has one of these sockets, once.
pub(super) fn processes<'a>(others: &[&Other<'a>]) -> Vec<&'a Process> {
    let mut found: Vec<&Process> = Vec::new();
    for process in others.iter().flat_map(|other| name::holders(other.blocker)) {
        if !found.iter().any(|known| known.is_same(process)) {
            found.push(process);
        }
    }
    found
}

/// Those who have these sockets, and for a socket that nobody is known to have, that.
pub(super) fn names(others: &[&Other<'_>]) -> String {
    let mut names: Vec<String> = processes(others).into_iter().map(service_name).collect();
    let nameless = others
        .iter()
        .filter(|other| name::holders(other.blocker).is_empty());
    names
        .extend(nameless.map(|other| format!("whoever has the socket on {}", other.blocker.local)));
    name::list(&names)
}

/// What a process is stopped by.
fn service_name(process: &Process) -> String {
    if process.pid == 1 && process.comm == "systemd" {
        // It keeps sockets for others only.
        return "the socket unit that systemd[1] listens for (systemctl list-sockets names it)"
            .to_owned();
    }
    name::process_and_service(process)
}

/// What closes these sockets, some of which are held for others: each is closed by an order of its own.
pub(super) fn orders_to_close(others: &[&Other<'_>]) -> String {
    let (held_for_others, own): (Vec<_>, Vec<_>) = others
        .iter()
        .copied()
        .partition(|other| proxy::holder(other.blocker).is_some());
    let mut orders = once(
        held_for_others
            .iter()
            .filter_map(|other| proxy::wording::stop(other.blocker)),
    );
    // Whoever else has one of them keeps the port taken.
    let mut more: Vec<&Process> = Vec::new();
    for other in &held_for_others {
        let holder = proxy::holder(other.blocker).map(|(holder, _)| holder);
        let others = name::holders(other.blocker)
            .into_iter()
            .filter(|process| !holder.is_some_and(|holder| holder.is_same(process)));
        more.extend(others);
    }
    more.extend(processes(&own));
    let names = once(more.into_iter().map(service_name));
    if !names.is_empty() {
        orders.push(format!("stop {}", name::list(&names)));
    }
    let nameless = own
        .iter()
        .filter(|other| name::holders(other.blocker).is_empty());
    orders.extend(nameless.map(|other| format!("close the socket on {}", other.blocker.local)));
    orders.join(", and ")
}

/// `the socket of java[977] on 0.0.0.0:80`.
pub(super) fn sockets(others: &[&Other<'_>]) -> String {
    let named = others.iter().map(|other| {
        let Blocker { local, .. } = other.blocker;
        match name::holders(other.blocker).first() {
            Some(first) => format!("the socket of {} on {local}", name::process(first)),
            None => format!("the socket on {local}"),
        }
    });
    name::list(&once(named))
}

/// Where they are bound.
pub(super) fn places(others: &[&Other<'_>]) -> String {
    name::list(&once(
        others.iter().map(|other| other.blocker.local.to_string()),
    ))
}

/// `fd 5`, if the caller alone has all these sockets.
pub(super) fn own_descriptors(case: &Case<'_>, others: &[&Other<'_>]) -> Option<String> {
    let caller = &case.attempt.process;
    let holders = || others.iter().flat_map(|other| &other.blocker.holders);
    let own = others.iter().all(|other| !other.blocker.holders.is_empty())
        && holders().all(|holder| holder.process.is_same(caller));
    own.then(|| name::list(&once(holders().map(|holder| format!("fd {}", holder.fd)))))
}

/// What the new socket could have asked for instead of every address.
pub(super) fn specific_address(case: &Case<'_>) -> String {
    let six = case.requested.addr.is_ipv6();
    let addrs = case.uncleared().map(|other| other.side.addr);
    let taken = once(
        addrs
            .filter(|addr| addr.is_ipv6() == six)
            .map(|addr: IpAddr| addr.to_string()),
    );
    let family = if six {
        "a specific IPv6 address"
    } else {
        "a specific address"
    };
    if taken.is_empty() {
        family.to_owned()
    } else {
        format!("{family} other than {}", name::list(&taken))
    }
}

/// Until the last conflicting `TIME_WAIT` has ended, in whole seconds.
pub(super) fn time_left(case: &Case<'_>) -> Option<u64> {
    case.uncleared()
        .filter_map(|other| other.blocker.expires_in_ms)
        .max()
        .map(seconds)
}

fn once(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for text in texts {
        if !found.contains(&text) {
            found.push(text);
        }
    }
    found
}
