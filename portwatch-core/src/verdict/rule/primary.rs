//! Rules every blocker of an attempt, and chooses the one to act on.

use core::{
    cmp::Reverse,
    net::{IpAddr, Ipv4Addr},
};

use crate::model::{
    attempt::Blocker,
    socket::Side,
    verdict::{Certainty, Clause},
};

use super::{Call, Port, Ruling, Transport, case, kind::Kind};
use crate::verdict::rule;

/// Sets what the rule says of each blocker, and how sure that is.
pub(in crate::verdict) fn rule(call: Call, binder: &Side, blockers: &mut [Blocker]) {
    for blocker in blockers {
        let ruling = match rule::conflict(call, binder, &case::existing(blocker)) {
            // It hung on the uids, and the kernel has compared them.
            Ruling::Undecided if blocker.kernel_refused && call.port == Port::Explicit => {
                Ruling::Conflict(Clause::UsersDiffer)
            }
            ruling => ruling,
        };
        blocker.conflicts = ruling.conflicts();
        blocker.clause = ruling.clause();
        blocker.certainty = match blocker.certainty {
            _ if blocker.kernel_refused && blocker.conflicts == Some(true) => Certainty::Exact,
            Certainty::Inferred => Certainty::Inferred,
            Certainty::Walked | Certainty::Exact => Certainty::Walked,
        };
    }
}

/// Without what was asked for, nothing can be compared; and where no socket was compared, none refused.
pub(in crate::verdict) fn leave_undecided(blockers: &mut [Blocker]) {
    for blocker in blockers {
        blocker.conflicts = None;
        blocker.clause = Clause::Undecided;
        blocker.primary = false;
    }
}

/// Sorts the blockers, those that conflict first and the one to act on before all, and marks that one.
///
/// A socket that took the port after the attempt began cannot have refused it, so it is never the one. The kernel stops
/// at the first conflict that it meets, be it one of a thousand `TIME_WAIT` that hide a listener: which socket it named
/// decides only among sockets of one kind, or where the kernel may not have met the other one.
pub(in crate::verdict) fn choose(call: Call, binder: &Side, blockers: &mut [Blocker]) {
    blockers.sort_by_key(|blocker| {
        let conflicts = match (blocker.conflicts, blocker.came_later) {
            (Some(true), false) => 0,
            (Some(true), true) => 1,
            (None, _) => 2,
            (Some(false), _) => 3,
        };
        let named = blocker.owner.is_some() || !blocker.holders.is_empty();
        (
            conflicts,
            may_be_overlooked(call, binder, blocker),
            Kind::of(call.transport, blocker),
            Reverse(blocker.certainty),
            Reverse(named),
        )
    });
    for (position, blocker) in blockers.iter_mut().enumerate() {
        blocker.primary = position == 0 && refused(blocker);
    }
}

/// True if not every kernel finds this socket where that binder is compared by its address: some before 6.8 do not look
/// for `::ffff:0.0.0.0` (`inet_bind2_bucket_match_addr_any` of `net/ipv4/inet_hashtables.c`). Where another one
/// conflicts too, that is sure to have refused. A socket that the kernel itself named was found.
fn may_be_overlooked(call: Call, binder: &Side, blocker: &Blocker) -> bool {
    let mapped = |addr: IpAddr| match addr {
        IpAddr::V6(addr) => addr.to_ipv4_mapped(),
        IpAddr::V4(_) => None,
    };
    call.transport == Transport::Tcp
        && blocker.certainty != Certainty::Exact
        && mapped(blocker.local.addr) == Some(Ipv4Addr::UNSPECIFIED)
        && mapped(binder.addr).is_some_and(|addr| !addr.is_unspecified())
}

/// True if this socket refused the attempt.
pub(in crate::verdict) fn refused(blocker: &Blocker) -> bool {
    blocker.conflicts == Some(true) && !blocker.came_later
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;
    use rstest::rstest;

    use crate::{
        model::{
            attempt::{Attempt, Blocker},
            socket::{Proto, State},
            verdict::Certainty,
        },
        verdict::testing::{bind, blocker, listener},
    };

    /// Address and certainty of the one to act on.
    fn first(attempt: Attempt, blockers: [Blocker; 2]) -> (String, Certainty) {
        let attempt = attempt.blocked_by(blockers).judged();
        let primary = attempt.blockers().iter().find(|blocker| blocker.primary);
        let primary = primary.unwrap();
        (primary.local.addr.to_string(), primary.certainty)
    }

    /// The wildcard's listener is acted on first, unless the kernel may have overlooked it.
    #[rstest]
    #[case::overlooked(Proto::Tcp, "::ffff:127.0.0.1", "::ffff:0.0.0.0", "::ffff:127.0.0.1")]
    #[case::another_wildcard(Proto::Tcp, "::ffff:127.0.0.1", "::", "::")]
    #[case::of_ipv4(Proto::Tcp, "127.0.0.1", "::ffff:0.0.0.0", "::ffff:0.0.0.0")]
    #[case::asked_for(Proto::Tcp, "::ffff:0.0.0.0", "::ffff:0.0.0.0", "::ffff:0.0.0.0")]
    #[case::udp(Proto::Udp, "::ffff:127.0.0.1", "::ffff:0.0.0.0", "::ffff:0.0.0.0")]
    fn what_refused_on_every_kernel_comes_first(
        #[case] proto: Proto,
        #[case] asked: &str,
        #[case] wildcard: &str,
        #[case] expected: &str,
    ) {
        let attempt = Attempt {
            proto,
            ..bind(asked, 8080, &[])
        };
        let wildcard = listener(wildcard, 8080, &[]);
        let specific = blocker(State::Bound, "::ffff:127.0.0.1", 8080, &[]);
        let first = first(attempt, [wildcard, specific]);
        assert_eq!(first, (expected.to_owned(), Certainty::Walked));
    }

    /// Which of the two the kernel named, and which comes first.
    #[rstest]
    #[case::the_specific_one(false, "::ffff:127.0.0.1")]
    #[case::the_wildcard(true, "::ffff:0.0.0.0")]
    fn what_the_kernel_named_was_not_overlooked(
        #[case] names_wildcard: bool,
        #[case] expected: &str,
    ) {
        let wildcard = Blocker {
            kernel_refused: names_wildcard,
            ..listener("::ffff:0.0.0.0", 8080, &[])
        };
        let specific = Blocker {
            kernel_refused: !names_wildcard,
            ..blocker(State::Bound, "::ffff:127.0.0.1", 8080, &[])
        };
        let first = first(bind("::ffff:127.0.0.1", 8080, &[]), [wildcard, specific]);
        assert_eq!(first, (expected.to_owned(), Certainty::Exact));
    }
}
