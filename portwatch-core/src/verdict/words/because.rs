//! The clause of the kernel's rule that decided, in words.

use crate::model::{
    socket::Side,
    verdict::{Cause, Clause},
};
use crate::prelude::*;

use super::super::rule::Transport;
use crate::verdict::rule::{
    case::{Case, Other},
    kind::Kind,
    reach::{Families, Reach},
};

/// Empty where the rule has no part.
pub(in crate::verdict) fn because(case: &Case<'_>, cause: Cause) -> String {
    if cause == Cause::EphemeralExhausted {
        return match case.call.transport {
            Transport::Tcp => {
                "for port 0 the kernel takes a port that no overlapping socket has, whatever the options"
            }
            Transport::Udp => "for port 0 the kernel takes a port that no conflicting socket has",
        }
        .to_owned();
    }
    let Some(primary) = case.primary() else {
        return String::new();
    };
    let listen_race = if cause == Cause::ListenRace {
        "bind() lets two sockets share a port where listen() does not; "
    } else {
        ""
    };
    let inherited = if cause == Cause::InheritedDescriptor {
        "a socket keeps its port until every process that has it open has closed it; "
    } else {
        ""
    };
    format!(
        "{inherited}{}{listen_race}{}",
        addresses(case, primary),
        clause(case, primary)
    )
}

/// Why the addresses overlap, where they are not the same.
fn addresses(case: &Case<'_>, other: &Other<'_>) -> String {
    let (local, requested) = (other.blocker.local, case.requested);
    match case.reach(other) {
        Reach::Same => String::new(),
        Reach::Other(Families::Same) => format!("{local} covers {requested}; "),
        Reach::Binder(Families::Same) => format!("{requested} covers {local}; "),
        Reach::Other(Families::Differ) => {
            format!("{local} is not IPV6_V6ONLY, so it covers {requested} too; ")
        }
        Reach::Binder(Families::Differ) => {
            format!("{requested} is not IPV6_V6ONLY, so it covers {local} too; ")
        }
        Reach::Ipv6Connection => {
            format!("{requested} overlaps every IPv6 connection that is not IPV6_V6ONLY; ")
        }
    }
}

fn clause(case: &Case<'_>, other: &Other<'_>) -> String {
    let (binder, existing) = (&case.binder, &other.side);
    let reuseaddr = on(binder.reuse != 0, existing.reuse != 0);
    let reuseport = on(binder.reuseport, existing.reuseport);
    match other.blocker.clause {
        Clause::Listening => format!(
            "a listening port can be shared only if both sockets set SO_REUSEPORT \
             (here: {reuseport})"
        ),
        Clause::BinderLacksReuseAddr | Clause::OtherLacksReuseAddr | Clause::NeitherReuseAddr => {
            format!(
                "sharing a port takes SO_REUSEADDR on both sockets (here: {reuseaddr}) or SO_REUSEPORT on \
             both (here: {reuseport}){}",
                copied(other)
            )
        }
        Clause::UsersDiffer => users(binder, existing),
        Clause::BinderHasReusePortGroup => {
            "SO_REUSEPORT is set on both sockets, but the new one already has a reuseport group or \
             program, and so cannot join another"
                .to_owned()
        }
        Clause::PortNotFree
        | Clause::Undecided
        | Clause::DevicesDiffer
        | Clause::AddressesDiffer
        | Clause::ForcedReuse
        | Clause::BothReuseAddr
        | Clause::BothReusePort => String::new(),
    }
}

const fn on(binder: bool, existing: bool) -> &'static str {
    match (binder, existing) {
        (true, true) => "both",
        (true, false) => "the new one",
        (false, true) => "the other one",
        (false, false) => "neither",
    }
}

/// Where the options of a socket that nobody can set any more come from.
fn copied(other: &Other<'_>) -> &'static str {
    match other.kind {
        Kind::TimeWait => "; a TIME_WAIT inherits its options from the closed connection",
        Kind::Connection | Kind::Detached if other.is_accepted() => {
            "; an accepted connection starts with the options of its listener"
        }
        _ => "",
    }
}

fn users(binder: &Side, existing: &Side) -> String {
    match (binder.uid, existing.uid) {
        (Some(ours), Some(theirs)) => format!(
            "SO_REUSEPORT is set on both sockets, but only sockets of one uid share a port (the new \
             one has uid {ours}, the other one uid {theirs}; setuid() does not change that)"
        ),
        _ => "SO_REUSEPORT is set on both sockets, but their uids differ".to_owned(),
    }
}
