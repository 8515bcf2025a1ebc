//! Remedies: what to do, as orders.

use crate::prelude::*;
use crate::{
    model::{attempt::Op, verdict::Cause},
    verdict::{
        rule::{
            Transport,
            case::Case,
            kind::{self, Kind},
            reach::Reach,
        },
        who::{inherited, keeper, proxy},
        words::name,
    },
};

use super::{
    Change, Counterfactual,
    sockets::{self, Options},
};

/// What keeps it from happening again, where no change of these sockets is asked of the rule.
pub(super) fn without_the_rule(case: &Case<'_>, causes: &[Cause]) -> Vec<String> {
    let mut orders = Vec::new();
    orders.extend(reserve(case, causes));
    orders.extend(fixed_source(case, causes));
    if causes.contains(&Cause::KernelSocket) && !case.is_released() {
        orders.push(
            "take down what the kernel holds the port for (an NFS mount or server, a WireGuard or VXLAN \
             interface, and others), or use another port"
                .to_owned(),
        );
    }
    if causes.contains(&Cause::EphemeralExhausted) {
        orders.push(
            "widen net.ipv4.ip_local_port_range (or the socket's own IP_LOCAL_PORT_RANGE)"
                .to_owned(),
        );
        if case.attempt.op == Op::Bind {
            orders.push(
                "set IP_BIND_ADDRESS_NO_PORT before bind() on sockets that then connect(): they need no \
                 port until then"
                    .to_owned(),
            );
        }
    }
    orders
}

/// Only where another program was executed with the socket open.
pub(super) fn close_on_exec(case: &Case<'_>, causes: &[Cause]) -> Option<String> {
    let inherited = inherited::leak(case.primary()?.blocker)?;
    let concerns = causes.contains(&Cause::InheritedDescriptor) && !case.is_released();
    concerns.then(|| {
        let (from, to) = (&inherited.from, &inherited.to);
        if from.is_same(to) {
            return format!(
                "from the next start on, set close-on-exec (SOCK_CLOEXEC) on the socket, or close it before {} \
                 executes another program",
                name::process(from)
            );
        }
        format!(
            "from the next start on, set close-on-exec (SOCK_CLOEXEC) on the socket in {}, or close it in the \
             child before that executes another program, unless {} is meant to have it",
            name::process(from),
            name::process(to)
        )
    })
}

/// Nothing conflicts any more.
pub(super) fn again(case: &Case<'_>) -> String {
    let call = match case.attempt.op {
        Op::Bind => "bind()",
        Op::Listen | Op::Autobind => "listen()",
    };
    format!("call {call} again: the port was free a moment later")
}

/// Only for a port that `connect()` picks, and may still pick.
fn reserve(case: &Case<'_>, causes: &[Cause]) -> Option<String> {
    let client = |cause: &Cause| matches!(cause, Cause::EphemeralPort | Cause::EphemeralTimeWait);
    let facts = &case.attempt.facts;
    let port = case.requested.port;
    let [first, last] = facts.port_range?;
    let pickable = (first..=last).contains(&port) && facts.port_reserved == Some(false);
    (pickable && causes.iter().any(client)).then(|| {
        format!(
            "add {port} to net.ipv4.ip_local_reserved_ports, so that the kernel does not pick it again, \
             or use a port outside {first}-{last}"
        )
    })
}

/// A client that keeps trying a port of the automatic range meets itself in the end.
fn fixed_source(case: &Case<'_>, causes: &[Cause]) -> Option<String> {
    let primary = case.primary()?;
    (causes.first() == Some(&Cause::SelfConnect)).then(|| {
        format!(
            "make {} connect from a fixed source port other than {} (bind() before connect())",
            sockets::names(&[primary]),
            case.requested.port
        )
    })
}

/// What else there is where a service manager has the socket: it is passed on to those who ask for it.
pub(super) fn take_over(case: &Case<'_>, causes: &[Cause]) -> Option<String> {
    let primary = case.primary()?;
    (causes.contains(&Cause::SocketActivation) && !case.is_released())
        .then(|| proxy::wording::take_over(primary.blocker))
        .flatten()
}

/// The order that makes it true; `None` where it is too late for one, or where it would do harm.
pub(super) fn order(case: &Case<'_>, causes: &[Cause], found: &Counterfactual) -> Option<String> {
    let mut orders: Vec<String> = Vec::new();
    for change in &found.0 {
        let order = match change {
            Change::ReuseAddrOnBinder | Change::ReuseAddrOnOthers => {
                reuse_addr(case, causes, found)?
            }
            Change::ReusePortOnBinder
            | Change::ReusePortOnOthers
            | Change::OneUser
            | Change::GroupLater => {
                // A socket that was left open would get its share of the connections, and nobody would answer them.
                let left_open = causes.first() == Some(&Cause::InheritedDescriptor)
                    && inherited::leak(case.primary()?.blocker).is_some();
                (!left_open).then(|| reuse_port(case, found)).flatten()?
            }
            Change::V6OnlyOnBinder => {
                "set IPV6_V6ONLY on the new socket before bind(), which leaves IPv4 to the other"
                    .to_owned()
            }
            Change::V6OnlyOnOthers => v6_only_on_others(case)?,
            Change::SpecificBinder => format!("bind {}", sockets::specific_address(case)),
            Change::SpecificOthers => format!(
                "make {} bind a specific address other than {}",
                sockets::names(&sockets::wildcards(case)),
                case.requested.addr
            ),
            Change::Closed => close(case, causes),
            Change::Ended => end(case)?,
            Change::Expired => wait(case),
        };
        // Changes of one option are one order.
        if !orders.contains(&order) {
            orders.push(order);
        }
    }
    Some(format!("{}{}", orders.join(", and "), extent(case)))
}

/// For how many sockets it was confirmed, where there may be more.
fn extent(case: &Case<'_>) -> String {
    match (case.partial, case.others.len()) {
        (false, _) => String::new(),
        (true, 1) => {
            " (confirmed for the one socket that was looked at; there may be more)".to_owned()
        }
        (true, n) => {
            format!(" (confirmed for the {n} sockets that were looked at; there may be more)")
        }
    }
}

fn reuse_addr(case: &Case<'_>, causes: &[Cause], found: &Counterfactual) -> Option<String> {
    if case.call.transport == Transport::Udp {
        // It would work, and then one of the two would silently get the other's datagrams.
        return None;
    }
    let binder = found.0.contains(&Change::ReuseAddrOnBinder);
    if !found.0.contains(&Change::ReuseAddrOnOthers) {
        return Some("set SO_REUSEADDR on the new socket before bind()".to_owned());
    }
    let lacking = sockets::without_reuse_addr(case);
    match Options::of_all(&lacking)? {
        Options::Own => {
            let new = if binder { "the new socket and on " } else { "" };
            let theirs = sockets::sockets(&lacking);
            Some(format!("set SO_REUSEADDR on {new}{theirs} before bind(); only one of them can listen"))
        }
        // Where a connection comes from an outgoing call after all, it has nothing from a listener.
        Options::Copied if causes.contains(&Cause::Unknown) => None,
        Options::Copied => Some(
            "from the next start on, set SO_REUSEADDR before bind() on every socket that listens on this \
             port: its connections copy it, and then leave the port to a bind() that sets it too (for the \
             present ones it is too late)"
                .to_owned(),
        ),
        Options::Client => None,
    }
}

fn reuse_port(case: &Case<'_>, found: &Counterfactual) -> Option<String> {
    let has = |change| found.0.contains(&change);
    let lacking = sockets::without_reuse_port(case);
    if has(Change::ReusePortOnOthers) && Options::of_all(&lacking) != Some(Options::Own) {
        return None;
    }
    let mut orders = Vec::new();
    match (
        has(Change::ReusePortOnBinder),
        has(Change::ReusePortOnOthers),
    ) {
        (true, true) => orders.push("set SO_REUSEPORT on both sockets before bind()".to_owned()),
        (true, false) => {
            orders.push("set SO_REUSEPORT on the new socket too before bind()".to_owned());
        }
        (false, true) => {
            orders.push(format!(
                "set SO_REUSEPORT on {} too before bind()",
                sockets::sockets(&lacking)
            ));
        }
        (false, false) => {}
    }
    if has(Change::OneUser) {
        orders.push("make both sockets as one user (a later setuid() does not count)".to_owned());
    }
    if has(Change::GroupLater) {
        orders.push("attach the reuseport program after this call, not before".to_owned());
    }
    Some(format!("{}{}", orders.join(", and "), spread(case)))
}

/// What sharing does: sockets of one address take turns, of several the most specific takes all.
fn spread(case: &Case<'_>) -> &'static str {
    let alike = case
        .uncleared()
        .all(|other| case.reach(other) == Reach::Same && other.side.device == case.binder.device);
    match case.call.transport {
        Transport::Tcp if alike => "; new connections are then spread over both",
        Transport::Udp if alike => "; datagrams are then spread over both",
        _ => "",
    }
}

fn v6_only_on_others(case: &Case<'_>) -> Option<String> {
    let others: Vec<_> = case.uncleared().collect();
    (Options::of_all(&others) == Some(Options::Own)).then(|| {
        format!(
            "make {} set IPV6_V6ONLY before bind(), which leaves IPv4 to the new socket",
            sockets::names(&others)
        )
    })
}

/// The processes to be stopped, and where their sockets are.
fn close(case: &Case<'_>, causes: &[Cause]) -> String {
    let closing = sockets::closing(case);
    if let Some((other, kept)) = keeper::alone(&closing) {
        return keeper::order(other, kept, &case.attempt.process);
    }
    if keeper::is_among(&closing) {
        return format!("stop {}", sockets::names(&closing));
    }
    if let Some(descriptors) = sockets::own_descriptors(case, &closing) {
        return format!("close {descriptors} of this same process first, or bind only once");
    }
    if sockets::are_abandoned(&closing) {
        return format!(
            "try again: whoever had {} has ended, and no process was found just after that has it open",
            sockets::places(&closing)
        );
    }
    if closing
        .iter()
        .any(|other| proxy::holder(other.blocker).is_some())
    {
        return sockets::orders_to_close(&closing);
    }
    let names = sockets::names(&closing);
    if causes.first() == Some(&Cause::SameService) {
        return format!("stop {names} before another instance starts");
    }
    let (them, socket) = match (sockets::processes(&closing).len(), closing.len()) {
        (..=1, ..=1) => ("it", "its socket"),
        (..=1, _) => ("it", "its sockets"),
        (_, ..=1) => ("them all", "the socket"),
        (_, _) => ("them all", "the sockets"),
    };
    format!(
        "stop {names}, or make {them} close {socket} on {}",
        sockets::places(&closing)
    )
}

/// How to end the conflicting connections; `None` where nobody can.
fn end(case: &Case<'_>) -> Option<String> {
    let primary = case.primary()?;
    match primary.kind {
        Kind::Connection => {
            let connections: Vec<_> =
                case.uncleared().filter(|other| other.kind == Kind::Connection).collect();
            Some(format!(
                "make {} end its connections on this port (where this side closes first, TIME_WAIT \
                 follows and keeps the port for about 60 s)",
                sockets::names(&connections)
            ))
        }
        Kind::Detached if kind::is_finishing(primary.blocker.state) => Some(
            "wait for the old connection to end (how long its peer takes is not known, and TIME_WAIT may \
             follow)"
                .to_owned(),
        ),
        _ => None,
    }
}

fn wait(case: &Case<'_>) -> String {
    match sockets::time_left(case) {
        Some(left @ 1..) => format!("wait until the TIME_WAIT has ended, in at least {left} s"),
        _ => "wait until the TIME_WAIT has ended, which is due".to_owned(),
    }
}
