//! From the facts of a failure to its causes.

use crate::prelude::*;
use crate::words::errno;
mod policy;
mod refused;
pub(super) mod stage;
mod unix;

use crate::model::{
    attempt::{Attempt, Blocker, Failure, Op},
    process::Process,
    proxy::Role,
    socket::{Proto, State},
    verdict::{Cause, Certainty, Clause, Verdict},
};

use super::{
    remedy,
    rule::{
        self, Port, Transport,
        case::{self, Case, Other},
        kind::{self, Kind},
        primary,
    },
    who::{
        inherited::{self, Part},
        keeper, same_service,
    },
    words::{self, name},
};

/// Judges a failed attempt: says which stage refused it, rules and sorts its blockers, marks the one to act on, and sets
/// the verdict.
///
/// An attempt that did not fail is left as it is. Judging twice changes nothing.
pub fn judge(attempt: &mut Attempt) {
    let Some(mut failure) = attempt.failure.take() else {
        return;
    };
    attempt.stage = stage::of(attempt);
    let by_policy = attempt
        .stage
        .and_then(|stage| policy::verdict(attempt, stage));
    failure.verdict = if by_policy.is_some() {
        // Whatever the errno, no socket had a part in it.
        primary::leave_undecided(&mut failure.blockers);
        by_policy
    } else if attempt.errno.cast_signed() == errno::EADDRINUSE {
        in_use(attempt, &mut failure)
    } else {
        refused::verdict(attempt).or_else(|| policy::unseen_stage(attempt))
    };
    attempt.failure = Some(failure);
}

fn in_use(attempt: &Attempt, failure: &mut Failure) -> Option<Verdict> {
    if attempt.proto == Proto::Unix {
        return unix::verdict(attempt, failure.unix.as_ref()?);
    }
    let Some(transport) = Transport::of(attempt.proto) else {
        primary::leave_undecided(&mut failure.blockers);
        return is_internet(attempt).then(|| unknown(words::OTHER_PROTOCOL));
    };
    let Some((call, binder)) = case::asked(attempt, transport) else {
        primary::leave_undecided(&mut failure.blockers);
        return Some(unknown(words::UNREAD));
    };
    primary::rule(call, &binder, &mut failure.blockers);
    primary::choose(call, &binder, &mut failure.blockers);
    let case = Case::new(attempt, (call, binder), failure);
    let causes = causes(&case);
    let (&cause, also) = causes.split_first()?;
    let (remedies, would_succeed_if) = remedy::of(&case, &causes);
    Some(Verdict {
        cause,
        confidence: confidence(&case),
        summary: words::summary(&case, cause),
        because: words::because(&case, cause),
        also: also.to_vec(),
        remedies,
        would_succeed_if,
    })
}

/// True for a protocol with ports, or one that is not known but was given a port.
fn is_internet(attempt: &Attempt) -> bool {
    match attempt.proto {
        Proto::Unix => false,
        Proto::Unknown => attempt.port.is_some(),
        _ => true,
    }
}

fn unknown(why: &str) -> Verdict {
    Verdict {
        cause: Cause::Unknown,
        also: Vec::new(),
        confidence: Certainty::Inferred,
        summary: why.to_owned(),
        because: String::new(),
        remedies: Vec::new(),
        would_succeed_if: Vec::new(),
    }
}

/// That of the blocker which the verdict is about. That there was none is known from the walk, if there was one.
fn confidence(case: &Case<'_>) -> Certainty {
    match case.primary() {
        Some(primary) => primary.blocker.certainty,
        None if case.gone().is_some() && case.call.port == Port::Explicit => Certainty::Inferred,
        None if case.walked => Certainty::Walked,
        None => Certainty::Inferred,
    }
}

/// Every cause that holds, what to act on first before all; never empty.
fn causes(case: &Case<'_>) -> Vec<Cause> {
    if case.call.port != Port::Explicit {
        return vec![Cause::EphemeralExhausted];
    }
    let Some(primary) = case.primary() else {
        return vec![match case.gone() {
            Some(_) => Cause::ReleasedJustNow,
            None => Cause::Unknown,
        }];
    };
    let mut causes = of(case, primary);
    if case.is_released() {
        causes.insert(0, Cause::ReleasedJustNow);
    }
    if causes.is_empty() {
        causes.push(Cause::Unknown);
    }
    // Whose the listener is: said once, of the one to act on.
    let whose = |cause: &Cause| {
        matches!(
            cause,
            Cause::LiveListener | Cause::SameService | Cause::KernelSocket
        )
    };
    let says_whose =
        |cause: &Cause| whose(cause) || matches!(cause, Cause::SocketActivation | Cause::PortProxy);
    for cause in case.refusing().flat_map(|other| of(case, other)) {
        let said = causes.contains(&cause) || (whose(&cause) && causes.iter().any(says_whose));
        causes.extend((!said).then_some(cause));
    }
    causes
}

/// The causes that one conflicting blocker proves.
fn of(case: &Case<'_>, other: &Other<'_>) -> Vec<Cause> {
    let mut causes = Vec::from_iter(keeper::cause(other.blocker));
    causes.extend(of_socket(case, other));
    causes
}

fn of_socket(case: &Case<'_>, other: &Other<'_>) -> Vec<Cause> {
    match other.kind {
        Kind::Listener => of_listener(case, other),
        Kind::Bound => of_bound(case, other),
        Kind::Connection | Kind::Detached => of_connection(case, other),
        Kind::TimeWait if other.outgoing => {
            vec![Cause::EphemeralTimeWait]
        }
        Kind::TimeWait => vec![Cause::TimeWait],
    }
}

fn of_listener(case: &Case<'_>, other: &Other<'_>) -> Vec<Cause> {
    let own = case.is_own(other.blocker);
    let kernel = other.blocker.kernel_socket;
    let same_service = !own && service(case, other.blocker).is_some();
    let race = case.attempt.op == Op::Listen && other.blocker.state == State::Listen;
    let mut causes = Vec::new();
    causes.extend(race.then_some(Cause::ListenRace));
    causes.extend(own.then_some(Cause::SelfConflict));
    let inherited = inherited::part(case, other.blocker);
    let stands_in = stands_in(other);
    causes.extend(stands_in);
    causes.extend((inherited == Part::Leading).then_some(Cause::InheritedDescriptor));
    causes.extend(of_options_and_addresses(case, other));
    causes.extend(kernel.then_some(Cause::KernelSocket));
    causes.extend(same_service.then_some(Cause::SameService));
    let live = !own && !kernel && !same_service && stands_in.is_none();
    causes.extend(live.then_some(Cause::LiveListener));
    causes.extend((inherited == Part::Aside).then_some(Cause::InheritedDescriptor));
    causes
}

/// Its holder is a proxy: whatever else is true, those behind it are the ones to turn to.
fn stands_in(other: &Other<'_>) -> Option<Cause> {
    let behalf = other.blocker.on_behalf_of.as_ref()?;
    Some(match behalf.role {
        Role::ServiceManager => Cause::SocketActivation,
        Role::PortProxy => Cause::PortProxy,
    })
}

fn of_bound(case: &Case<'_>, other: &Other<'_>) -> Vec<Cause> {
    let mut causes = Vec::new();
    causes.extend(case.is_own(other.blocker).then_some(Cause::SelfConflict));
    let inherited = inherited::part(case, other.blocker);
    causes.extend((inherited == Part::Leading).then_some(Cause::InheritedDescriptor));
    causes.push(if other.blocker.kernel_socket {
        Cause::KernelSocket
    } else {
        Cause::BoundNotListening
    });
    causes.extend(stands_in(other));
    causes.extend(of_options_and_addresses(case, other));
    causes.extend((inherited == Part::Aside).then_some(Cause::InheritedDescriptor));
    causes
}

fn of_options_and_addresses(case: &Case<'_>, other: &Other<'_>) -> impl Iterator<Item = Cause> {
    let clause = other.blocker.clause;
    let one_sided = case.binder.reuseport != other.side.reuseport;
    let missing = one_sided || clause == Clause::BinderHasReusePortGroup;
    let reach = case.reach(other);
    [
        (clause == Clause::UsersDiffer, Cause::ReuseportUid),
        (missing, Cause::ReuseportMissing),
        (reach.is_dual_stack(), Cause::DualStack),
        (reach.is_wildcard(), Cause::WildcardOverlap),
    ]
    .into_iter()
    .filter_map(|(holds, cause)| holds.then_some(cause))
}

/// A connection whose port nobody proves to come from `connect()` or from a listener proves no cause of its own.
fn of_connection(case: &Case<'_>, other: &Other<'_>) -> Vec<Cause> {
    let blocker = other.blocker;
    let orphan = other.kind == Kind::Detached && kind::is_finishing(blocker.state);
    let reachable = other.kind == Kind::Connection && !blocker.kernel_socket;
    let lingers = reachable && other.is_accepted() && !has_listener(case, other);
    [
        (blocker.kernel_socket, Cause::KernelSocket),
        (kind::is_to_itself(blocker), Cause::SelfConnect),
        (orphan, Cause::OrphanConnection),
        (other.outgoing, Cause::EphemeralPort),
        (lingers, Cause::LingeringConnection),
        (blocker.clause == Clause::UsersDiffer, Cause::ReuseportUid),
        (
            blocker.clause == Clause::BinderHasReusePortGroup,
            Cause::ReuseportMissing,
        ),
        (reachable && case.is_own(blocker), Cause::SelfConflict),
    ]
    .into_iter()
    .filter_map(|(holds, cause)| holds.then_some(cause))
    .collect()
}

/// True if a listener stands that this connection can have come through.
fn has_listener(case: &Case<'_>, connection: &Other<'_>) -> bool {
    case.others.iter().any(|other| {
        other.blocker.state == State::Listen
            && !other.blocker.came_later
            && rule::overlap(&other.side, &connection.side)
    })
}

/// The process that has this socket and is of the caller's service, and why it is.
pub(super) fn service<'a>(
    case: &Case<'a>,
    blocker: &'a Blocker,
) -> Option<(&'a Process, same_service::Relation<'a>)> {
    if case.attempt.facts.kernel || blocker.kernel_socket {
        return None;
    }
    let caller = &case.attempt.process;
    name::holders(blocker)
        .into_iter()
        .find_map(|holder| Some((holder, same_service::relation(caller, holder)?)))
}

#[cfg(test)]
mod tests;
