//! One line that names the blocker.

use crate::prelude::*;
use core::cmp::Ordering;

use crate::model::{
    attempt::Blocker,
    freed::{Freed, FreedHow},
    socket::State,
    verdict::{Cause, Clause},
};

use super::{
    super::{cause, rule::Transport},
    name,
};
use crate::verdict::{
    rule::{
        case::{Case, Other},
        kind::{self, Kind},
        reach::Reach,
    },
    who::{inherited, keeper, proxy, same_service},
};

pub(in crate::verdict) fn summary(case: &Case<'_>, cause: Cause) -> String {
    if cause == Cause::EphemeralExhausted {
        return exhausted(case);
    }
    let Some(primary) = case.primary() else {
        return case.gone().map_or_else(|| not_found(case), gone);
    };
    if cause == Cause::ReleasedJustNow {
        return released(primary);
    }
    if let Some(kept) = &primary.blocker.kept_by {
        return keeper::summary(primary.blocker, kept);
    }
    let text = match primary.kind {
        Kind::Listener | Kind::Bound => socket(case, primary, cause),
        Kind::Connection => connection(primary),
        Kind::Detached => detached(primary),
        Kind::TimeWait => time_wait(case, primary),
    };
    match uids(case, primary) {
        Some(uids) if cause == Cause::ReuseportUid => format!("{text}; {uids}"),
        _ => text,
    }
}

/// What the kernel saw, and nobody after it.
fn released(other: &Other<'_>) -> String {
    let blocker = other.blocker;
    let (ends, state) = (ends(blocker), name::state(blocker.state));
    let had = match other.kind {
        Kind::Listener | Kind::Bound | Kind::Connection => {
            format!("{} had {ends} ({state})", name::subject(blocker))
        }
        Kind::Detached | Kind::TimeWait => {
            format!("the connection {ends} ({state}) had the port")
        }
    };
    format!(
        "{had} when the kernel refused; when its table was walked just after, no socket had the port any more"
    )
}

/// What was seen to let go, and nothing else that had the port.
fn gone(freed: &Freed) -> String {
    let ends = match &freed.remote {
        Some(remote) => format!("{} <-> {remote}", freed.local),
        None => freed.local.to_string(),
    };
    let owner = freed.owner.as_ref().map(name::process);
    let what = match (freed.how, owner) {
        (FreedHow::TimeWaitOver, Some(owner)) => {
            format!("the TIME_WAIT {ends}, left by {owner}, was over")
        }
        (FreedHow::TimeWaitOver, None) => format!("the TIME_WAIT {ends} was over"),
        (FreedHow::Exited, Some(owner)) => format!("{owner} ended, which had {ends},"),
        (_, Some(owner)) => format!("{owner}'s socket {ends} was closed"),
        (_, None) => format!("the socket {ends} was closed"),
    };
    format!(
        "{what} while the call was under way; when the table was walked just after, no socket that conflicts had \
         the port any more"
    )
}

/// A socket that somebody bound.
fn socket(case: &Case<'_>, other: &Other<'_>, cause: Cause) -> String {
    let place = format!("{}{}", other.blocker.local, covers(case, other));
    let mut who = name::subject(other.blocker);
    if cause == Cause::SelfConflict {
        who = format!("{} itself", name::process(&case.attempt.process));
    }
    if matches!(cause, Cause::SocketActivation | Cause::PortProxy)
        && let Some((holder, behalf)) = proxy::holder(other.blocker)
    {
        let udp = case.call.transport == Transport::Udp;
        return proxy::wording::summary(other.blocker, holder, behalf, udp, &place);
    }
    let already = matches!(cause, Cause::SelfConflict | Cause::ListenRace);
    let already = if already { "already " } else { "" };
    let what = match (case.call.transport, other.blocker.state) {
        (_, State::Listen) => format!("{who} {already}listens on {place}"),
        (Transport::Udp, _) => format!("{who} is {already}bound to UDP {place}"),
        _ => format!("{who} is {already}bound to {place}, and neither listens nor is connected"),
    };
    let why = match cause {
        Cause::SelfConflict => descriptors(case, other.blocker),
        Cause::ListenRace => ": both could bind(), but only the first can listen()".to_owned(),
        Cause::ReuseportMissing => format!("; {}", missing(case, other)),
        Cause::SameService => instance(case, other.blocker),
        Cause::InheritedDescriptor => match &other.blocker.inherited {
            Some(inherited) => inherited::origin(inherited, other.blocker),
            None => String::new(),
        },
        _ => String::new(),
    };
    format!("{what}{why}")
}

/// How the addresses overlap, where they are not the same.
fn covers(case: &Case<'_>, other: &Other<'_>) -> String {
    match case.reach(other) {
        Reach::Same => String::new(),
        Reach::Other(_) => format!(", which covers {}", case.requested),
        Reach::Binder(_) => format!(", which {} covers", case.requested),
        Reach::Ipv6Connection => format!(", which overlaps {}", case.requested),
    }
}

fn descriptors(case: &Case<'_>, blocker: &Blocker) -> String {
    let caller = &case.attempt.process;
    let has = blocker
        .holders
        .iter()
        .find(|holder| holder.process.is_same(caller));
    match (has, case.attempt.socket.fd) {
        (Some(holder), Some(fd)) => format!(" (fd {}; this attempt was on fd {fd})", holder.fd),
        (Some(holder), None) => format!(" (fd {})", holder.fd),
        (None, _) => String::new(),
    }
}

fn missing(case: &Case<'_>, other: &Other<'_>) -> &'static str {
    match (case.binder.reuseport, other.side.reuseport) {
        (true, false) => "only the new socket has SO_REUSEPORT",
        (false, true) => "only that socket has SO_REUSEPORT",
        (true, true) => "the new socket got its reuseport group or program before this call",
        (false, false) => "neither socket has SO_REUSEPORT",
    }
}

fn instance(case: &Case<'_>, blocker: &Blocker) -> String {
    let Some((other, relation)) = cause::service(case, blocker) else {
        return String::new();
    };
    let age = match same_service::age(&case.attempt.process, other) {
        Some(Ordering::Less) => "an older",
        Some(Ordering::Greater) => "a newer",
        Some(Ordering::Equal) | None => "another",
    };
    let asked = blocker
        .owner
        .as_ref()
        .filter(|owner| owner.process.is_same(other))
        .and_then(|owner| owner.stopping.as_ref())
        .map(|stopping| format!(", and {}", name::stopping(stopping)))
        .unwrap_or_default();
    format!("; it is {age} instance of the same service ({relation}){asked}")
}

fn uids(case: &Case<'_>, other: &Other<'_>) -> Option<String> {
    let (ours, theirs) = (case.binder.uid?, other.side.uid?);
    Some(format!(
        "its uid is {theirs}, that of the new socket {ours}"
    ))
}

/// `a <-> b`, or `a` alone where no peer is known.
fn ends(blocker: &Blocker) -> String {
    match &blocker.remote {
        Some(remote) => format!("{} <-> {remote}", blocker.local),
        None => blocker.local.to_string(),
    }
}

fn connection(other: &Other<'_>) -> String {
    let blocker = other.blocker;
    let who = name::subject(blocker);
    let state = name::state(blocker.state);
    if kind::is_to_itself(blocker) {
        let source = if other.outgoing {
            ", whose source port the kernel picked,"
        } else {
            ""
        };
        return format!(
            "{who} has connected {} to itself ({state}): connect(){source} met its own SYN, as nobody listened there",
            blocker.local
        );
    }
    if other.outgoing {
        let to = blocker
            .remote
            .map(|remote| format!(" to {remote}"))
            .unwrap_or_default();
        return format!(
            "{who} has {} as the source port of its connection{to} ({state}), picked by the kernel",
            blocker.local
        );
    }
    let ends = ends(blocker);
    match (blocker.connected_out, blocker.port_bound) {
        (_, Some(true)) => {
            format!("{who} has the connection {ends} ({state}), on a port that it bound itself")
        }
        (Some(_), Some(false)) => {
            format!("{who} still has the accepted connection {ends} ({state})")
        }
        (Some(_), None) => {
            format!(
                "{who} still has the connection {ends} ({state}), whose port connect() did not pick"
            )
        }
        (None, _) => format!(
            "{who} has the connection {ends} ({state}); whether it was accepted or has its port from \
             connect() was not seen"
        ),
    }
}

fn detached(other: &Other<'_>) -> String {
    let blocker = other.blocker;
    let ends = ends(blocker);
    let state = name::state(blocker.state);
    if !kind::is_finishing(blocker.state) {
        return format!(
            "the connection {ends} ({state}) has the port, and no process has accepted it yet"
        );
    }
    let direction = if other.outgoing { "outgoing " } else { "" };
    format!(
        "the {direction}connection {ends} is closed and still finishing ({state}){}",
        left_by(blocker)
    )
}

fn left_by(blocker: &Blocker) -> String {
    match &blocker.owner {
        Some(owner) => format!("; it belonged to {}", name::process(&owner.process)),
        None => String::new(),
    }
}

fn time_wait(case: &Case<'_>, other: &Other<'_>) -> String {
    let blocker = other.blocker;
    let count = case
        .refusing()
        .filter(|other| other.kind == Kind::TimeWait)
        .count();
    let state = match blocker.substate {
        Some(State::FinWait2) => "waits for its peer to close (FIN_WAIT2)",
        _ => "is in TIME_WAIT",
    };
    let direction = if other.outgoing { "outgoing " } else { "" };
    // Rounded down: it is a lower bound.
    let left = blocker
        .expires_in_ms
        .map(|ms| format!(" for at least {} s more", ms / 1000));
    let more = match (count, case.partial) {
        (..=1, false) => String::new(),
        (..=1, true) => "; there may be more".to_owned(),
        (2, false) => "; one more conflicts".to_owned(),
        (_, false) => format!("; {} more conflict", count - 1),
        (_, true) => format!("; at least {} more conflict", count - 1),
    };
    format!(
        "the {direction}connection {} {state}{}{}{more}",
        ends(blocker),
        left.unwrap_or_default(),
        left_by(blocker),
    )
}

fn exhausted(case: &Case<'_>) -> String {
    let address = case.requested.addr;
    match case.attempt.facts.port_range {
        Some([first, last]) if first <= last => format!(
            "the kernel found no port free for {address} in the automatic range {first}-{last} ({} ports)",
            u32::from(last - first) + 1
        ),
        _ => format!("the kernel found no free port for {address}"),
    }
}

/// What was seen when nothing was found. No guess.
fn not_found(case: &Case<'_>) -> String {
    let mut seen = Vec::new();
    if let Some(other) = against_the_rule(case) {
        seen.push(format!(
            "the kernel compared it with {} ({}) of {} and refused, though by the rule as portwatch knows it \
             they can share the port",
            other.blocker.local,
            name::state(other.blocker.state),
            name::subject(other.blocker),
        ));
    }
    seen.push(match undecided(case) {
        Some(other) => format!(
            "{} has {} ({}); whether it conflicts depends on the uid {}, which could not be read",
            name::subject(other.blocker),
            other.blocker.local,
            name::state(other.blocker.state),
            if case.binder.uid.is_none() {
                "of the new socket"
            } else {
                "of that socket"
            },
        ),
        None if case.walked => {
            "no socket that conflicts was found when the table was walked just after the refusal"
                .to_owned()
        }
        None => "the table of bound sockets could not be walked".to_owned(),
    });
    if case.walked && case.partial {
        seen.push("there were more sockets on the port than could be looked at".to_owned());
    }
    if let Some(later) = case.later() {
        seen.push(format!(
            "{} took {} only after this attempt had begun",
            name::subject(later.blocker),
            later.blocker.local
        ));
    }
    seen.join("; ")
}

/// A socket that the kernel refused for, and the rule does not.
fn against_the_rule<'a, 'b>(case: &'b Case<'a>) -> Option<&'b Other<'a>> {
    case.others
        .iter()
        .find(|other| other.blocker.kernel_refused && other.blocker.conflicts != Some(true))
}

/// A socket that may have refused the attempt.
fn undecided<'a, 'b>(case: &'b Case<'a>) -> Option<&'b Other<'a>> {
    case.others
        .iter()
        .find(|other| other.blocker.clause == Clause::Undecided && !other.blocker.came_later)
}
