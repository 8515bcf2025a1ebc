//! Counterfactuals in words.
//!
//! A remedy is an order; what would have succeeded completes "would have succeeded if". The two differ where it is too
//! late: a connection has the options that its listener had when it was made, and `TIME_WAIT` those of the connection.

use crate::model::{
    attempt::{Blocker, Op},
    process::Process,
    verdict::Cause,
};

use super::{
    super::{
        case::{Case, Other},
        kind::{self, Kind},
        name,
        rule::Transport,
        wording,
    },
    Change, Counterfactual, is_closable, is_v6_wildcard, is_wildcard,
};

/// What keeps it from happening again, where no change of these sockets is asked of the rule.
pub(super) fn without_the_rule(case: &Case<'_>, cause: Cause, also: &[Cause]) -> Vec<String> {
    let mut remedies = Vec::new();
    let facts = &case.attempt.facts;
    let client = |cause: &Cause| matches!(cause, Cause::EphemeralPort | Cause::EphemeralTimeWait);
    let port = case.requested.port;
    if let Some([first, last]) = facts.port_range
        && (first..=last).contains(&port)
        && facts.port_reserved == Some(false)
        && (client(&cause) || also.iter().any(client))
    {
        remedies.push(format!(
            "add {port} to net.ipv4.ip_local_reserved_ports, so that connect() does not pick it again, or \
             listen on a port outside {first}-{last}"
        ));
    }
    if cause == Cause::EphemeralExhausted {
        remedies.push(
            "widen net.ipv4.ip_local_port_range (or the socket's own IP_LOCAL_PORT_RANGE)".to_owned(),
        );
        if case.attempt.op == Op::Bind {
            remedies.push(
                "set IP_BIND_ADDRESS_NO_PORT before bind() on sockets that then connect(): they need no \
                 port of their own until then"
                    .to_owned(),
            );
        }
    }
    remedies
}

/// The order that makes it true; `None` where it is too late for one, or where it would do harm.
pub(super) fn remedy(case: &Case<'_>, cause: Cause, found: &Counterfactual) -> Option<String> {
    let mut orders = Vec::new();
    for change in &found.0 {
        let order = match change {
            Change::ReuseAddrOnBinder if found.0.contains(&Change::ReuseAddrOnOthers) => continue,
            Change::ReuseAddrOnBinder if case.call.transport == Transport::Udp => return None,
            Change::ReuseAddrOnBinder => "set SO_REUSEADDR on the new socket before bind()".to_owned(),
            Change::ReuseAddrOnOthers => set_reuse_addr(case, found)?,
            Change::ReusePortOnBinder
            | Change::ReusePortOnOthers
            | Change::OneUser
            | Change::GroupLater => {
                if orders.iter().any(|order: &String| order.contains("SO_REUSEPORT")) {
                    continue;
                }
                set_reuse_port(case, found)
            }
            Change::V6OnlyOnBinder => {
                "set IPV6_V6ONLY on the new socket before bind(), which leaves IPv4 to the other".to_owned()
            }
            Change::V6OnlyOnOthers => format!(
                "make {} set IPV6_V6ONLY before bind(), which leaves IPv4 to the new socket",
                names(case.conflicting().filter(|other| is_v6_wildcard(other.side.addr)))
            ),
            Change::SpecificBinder => format!("bind {}", specific_for_binder(case)),
            Change::SpecificOthers => format!(
                "make {} bind a specific address other than {}",
                names(case.conflicting().filter(|other| is_wildcard(other.side.addr))),
                case.requested.addr
            ),
            Change::Closed => close(case, cause),
            Change::Ended => end(case)?,
            Change::Expired => wait(case),
        };
        orders.push(order);
    }
    let mut text = orders.join(", and ");
    if case.partial {
        text.push_str(&format!(
            " (confirmed for the {} sockets that were looked at; there may be more)",
            case.others.len()
        ));
    }
    Some(text)
}

/// The condition under which this very call would have succeeded.
pub(super) fn would_succeed_if(case: &Case<'_>, found: &Counterfactual) -> Option<String> {
    let mut conditions = Vec::new();
    for change in &found.0 {
        conditions.push(match change {
            Change::ReuseAddrOnBinder => "SO_REUSEADDR were set on the new socket".to_owned(),
            Change::ReuseAddrOnOthers => others_reuse(case),
            Change::ReusePortOnBinder => "SO_REUSEPORT were set on the new socket".to_owned(),
            Change::ReusePortOnOthers => {
                format!("SO_REUSEPORT were set on {}", sockets_of(case.conflicting()))
            }
            Change::OneUser => match case.primary().map(|primary| primary.blocker.uid) {
                Some(Some(uid)) => format!("the new socket were made by uid {uid} too"),
                _ => "all these sockets were made by one user".to_owned(),
            },
            Change::GroupLater => "the reuseport program were attached only after this call".to_owned(),
            Change::V6OnlyOnBinder => "IPV6_V6ONLY were set on the new socket".to_owned(),
            Change::V6OnlyOnOthers => format!(
                "IPV6_V6ONLY were set on {}",
                sockets_of(case.conflicting().filter(|other| is_v6_wildcard(other.side.addr)))
            ),
            Change::SpecificBinder => format!("it asked for {}", specific_for_binder(case)),
            Change::SpecificOthers => format!(
                "{} were bound to a specific address other than {}",
                sockets_of(case.conflicting().filter(|other| is_wildcard(other.side.addr))),
                case.requested.addr
            ),
            Change::Closed => closed(case),
            Change::Ended => "the connections in the way had ended, TIME_WAIT included".to_owned(),
            Change::Expired => match time_left(case)? {
                0 => "it came when the TIME_WAIT had ended, which was due".to_owned(),
                left => format!("it came at least {left} s later, when the TIME_WAIT had ended"),
            },
        });
    }
    let mut text = conditions.join(" and ");
    if case.call.transport == Transport::Udp && text.contains("SO_REUSEADDR") {
        text.push_str(" (a datagram to one address then reaches only one of the sockets)");
    }
    Some(text)
}

/// Sockets whose options are their program's to set, those of clients, and those that only have copies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Options {
    Own,
    Client,
    Copied,
}

impl Options {
    fn of(other: &Other<'_>) -> Self {
        match other.kind {
            Kind::Listener | Kind::Bound => Self::Own,
            _ if other.blocker.connected_out == Some(true) => Self::Client,
            Kind::Connection if other.blocker.port_bound == Some(true) => Self::Own,
            Kind::Connection | Kind::Detached | Kind::TimeWait => Self::Copied,
        }
    }

    /// Of those in the way that lack `SO_REUSEADDR`; `None` if they are of different sorts.
    fn of_all(case: &Case<'_>) -> Option<Self> {
        let mut all = case.conflicting().filter(|other| other.side.reuse == 0).map(Self::of);
        let first = all.next()?;
        all.all(|options| options == first).then_some(first)
    }
}

fn set_reuse_addr(case: &Case<'_>, found: &Counterfactual) -> Option<String> {
    if case.call.transport == Transport::Udp {
        // It would work, and then one of the two would silently get the other's datagrams.
        return None;
    }
    match Options::of_all(case)? {
        Options::Own => {
            let lacking = case.conflicting().filter(|other| other.side.reuse == 0);
            let theirs = sockets_of(lacking);
            let where_to = if found.0.contains(&Change::ReuseAddrOnBinder) {
                format!("the new socket and on {theirs}")
            } else {
                theirs
            };
            Some(format!("set SO_REUSEADDR on {where_to} before bind(); only one of them can listen"))
        }
        Options::Copied => Some(
            "from the next start on, set SO_REUSEADDR before bind() on every socket that listens on this \
             port: connections copy it, and then do not keep a bind() out that sets it too (it is too late \
             for the present ones)"
                .to_owned(),
        ),
        Options::Client => None,
    }
}

fn others_reuse(case: &Case<'_>) -> String {
    let all = |origin: Option<bool>| {
        case.conflicting()
            .filter(|other| other.side.reuse == 0)
            .all(|other| other.blocker.connected_out == origin && other.blocker.port_bound != Some(true))
    };
    match Options::of_all(case) {
        Some(Options::Own) => format!(
            "SO_REUSEADDR were set on {}",
            sockets_of(case.conflicting().filter(|other| other.side.reuse == 0))
        ),
        Some(Options::Client) => "the client had set SO_REUSEADDR before connect()".to_owned(),
        Some(Options::Copied) if all(Some(false)) => {
            "the old server had set SO_REUSEADDR before it listened".to_owned()
        }
        Some(Options::Copied) | None => {
            "the sockets in the way had had SO_REUSEADDR from the beginning".to_owned()
        }
    }
}

fn set_reuse_port(case: &Case<'_>, found: &Counterfactual) -> String {
    let has = |change| found.0.contains(&change);
    let mut orders = Vec::new();
    match (has(Change::ReusePortOnBinder), has(Change::ReusePortOnOthers)) {
        (true, true) => orders.push("set SO_REUSEPORT on both sockets before bind()".to_owned()),
        (true, false) => orders.push("set SO_REUSEPORT on the new socket too before bind()".to_owned()),
        (false, true) => orders.push(format!(
            "set SO_REUSEPORT on {} too before bind()",
            sockets_of(case.conflicting().filter(|other| !other.side.reuseport))
        )),
        (false, false) => {}
    }
    if has(Change::OneUser) {
        orders.push("make both SO_REUSEPORT sockets as one user (a later setuid() does not count)".to_owned());
    }
    if has(Change::GroupLater) {
        orders.push("attach the SO_REUSEPORT program after this call, not before".to_owned());
    }
    let what = match case.call.transport {
        Transport::Tcp => "connections",
        Transport::Udp => "datagrams",
    };
    format!("{} (new {what} are then spread over both)", orders.join(", and "))
}

fn specific_for_binder(case: &Case<'_>) -> String {
    let six = case.requested.addr.is_ipv6();
    let mut taken: Vec<String> = Vec::new();
    for other in case.conflicting().filter(|other| other.side.addr.is_ipv6() == six) {
        let addr = other.side.addr.to_string();
        if !taken.contains(&addr) {
            taken.push(addr);
        }
    }
    let family = if six { "a specific IPv6 address" } else { "a specific address" };
    if taken.is_empty() {
        family.to_owned()
    } else {
        format!("{family} other than {}", name::list(&taken))
    }
}

/// The processes to be stopped, and where their sockets are.
fn close(case: &Case<'_>, cause: Cause) -> String {
    let closing: Vec<&Other<'_>> =
        case.conflicting().filter(|other| is_closable(case, other)).collect();
    if let Some(descriptors) = own_descriptors(case, &closing) {
        return format!("close {descriptors} of this same process first, or bind only once");
    }
    let names = names(closing.iter().copied());
    if cause == Cause::SameService {
        return format!("stop {names} before another instance starts");
    }
    let places = places(&closing);
    let (them, sockets) = match processes(closing.iter().copied()).len() {
        0 | 1 => ("it", "its socket"),
        _ => ("them all", "the sockets"),
    };
    format!("stop {names}, or make {them} close {sockets} on {places}")
}

fn closed(case: &Case<'_>) -> String {
    let closing: Vec<&Other<'_>> =
        case.conflicting().filter(|other| is_closable(case, other)).collect();
    if let Some(descriptors) = own_descriptors(case, &closing) {
        return format!("this process had closed {descriptors} first");
    }
    let names = names(closing.iter().copied());
    let all = if processes(closing.iter().copied()).len() > 1 { " all" } else { "" };
    format!("{names}{all} had closed {}", places(&closing))
}

/// `fd 5`, if the caller alone has all these sockets.
fn own_descriptors(case: &Case<'_>, closing: &[&Other<'_>]) -> Option<String> {
    let caller = &case.attempt.process;
    let mut descriptors = Vec::new();
    for other in closing {
        let own = !other.blocker.holders.is_empty()
            && other.blocker.holders.iter().all(|holder| holder.process.is_same(caller));
        if !own {
            return None;
        }
        descriptors.extend(other.blocker.holders.iter().map(|holder| format!("fd {}", holder.fd)));
    }
    Some(name::list(&descriptors))
}

fn processes<'a, 'b: 'a>(others: impl Iterator<Item = &'a Other<'b>>) -> Vec<&'b Process> {
    let mut found: Vec<&Process> = Vec::new();
    for process in others.flat_map(|other| name::holders(other.blocker)) {
        if !found.iter().any(|known| known.is_same(process)) {
            found.push(process);
        }
    }
    found
}

/// Those who have these sockets, and for each that nobody is known to have, that.
fn names<'a, 'b: 'a>(others: impl Iterator<Item = &'a Other<'b>>) -> String {
    let others: Vec<&Other<'_>> = others.collect();
    let mut names: Vec<String> =
        processes(others.iter().copied()).into_iter().map(service_name).collect();
    let nameless = others.iter().filter(|other| name::holders(other.blocker).is_empty());
    names.extend(nameless.map(|other| format!("whoever has the socket on {}", other.blocker.local)));
    name::list(&names)
}

/// What a process is stopped by.
fn service_name(process: &Process) -> String {
    if process.pid == 1 && process.comm == "systemd" {
        // It only keeps sockets for others.
        return "the socket unit that systemd[1] listens for (systemctl list-sockets names it)".to_owned();
    }
    name::process_and_service(process)
}

/// `java[977]'s socket on 0.0.0.0:80`.
fn sockets_of<'a, 'b: 'a>(others: impl Iterator<Item = &'a Other<'b>>) -> String {
    let mut sockets: Vec<String> = Vec::new();
    for other in others {
        let Blocker { local, .. } = other.blocker;
        let socket = match name::holders(other.blocker).first() {
            Some(first) => format!("the socket of {} on {local}", name::process(first)),
            None => format!("the socket on {local}"),
        };
        if !sockets.contains(&socket) {
            sockets.push(socket);
        }
    }
    name::list(&sockets)
}

fn places(others: &[&Other<'_>]) -> String {
    let mut places: Vec<String> = Vec::new();
    for other in others {
        let place = other.blocker.local.to_string();
        if !places.contains(&place) {
            places.push(place);
        }
    }
    name::list(&places)
}

/// What ends the connections in the way; `None` where nobody has a say in it.
fn end(case: &Case<'_>) -> Option<String> {
    let primary = case.primary()?;
    match primary.kind {
        Kind::Connection => Some(format!(
            "make {} end its connections on this port (where this side closes first, TIME_WAIT follows and \
             keeps the port for about 60 s)",
            names(case.conflicting().filter(|other| other.kind == Kind::Connection))
        )),
        Kind::Detached if kind::is_finishing(primary.blocker.state) => Some(
            "wait for the old connection to end (how long its peer takes is not known, and TIME_WAIT may \
             follow)"
                .to_owned(),
        ),
        _ => None,
    }
}

fn wait(case: &Case<'_>) -> String {
    match time_left(case) {
        Some(left @ 1..) => format!("wait until the TIME_WAIT has ended, in at least {left} s"),
        _ => "wait until the TIME_WAIT has ended, which is due".to_owned(),
    }
}

/// Until the last `TIME_WAIT` in the way has ended, in whole seconds.
fn time_left(case: &Case<'_>) -> Option<u64> {
    let times = case.conflicting().filter_map(|other| other.blocker.expires_in_ms);
    times.max().map(wording::seconds)
}
