//! Rules every blocker of an attempt, and chooses the one to act on.

use std::cmp::Reverse;

use crate::model::{
    attempt::Blocker,
    socket::Side,
    verdict::{Certainty, Clause},
};

use super::{
    case,
    kind::Kind,
    rule::{self, Call, Port, Ruling},
};

/// Sets what the rule says of each blocker, and how sure that is.
pub(super) fn rule(call: Call, binder: &Side, blockers: &mut [Blocker]) {
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
pub(super) fn leave_undecided(blockers: &mut [Blocker]) {
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
/// decides only among sockets of one kind.
pub(super) fn choose(call: Call, blockers: &mut [Blocker]) {
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
            Kind::of(call.transport, blocker),
            Reverse(blocker.certainty),
            Reverse(named),
        )
    });
    for (position, blocker) in blockers.iter_mut().enumerate() {
        blocker.primary = position == 0 && refused(blocker);
    }
}

/// True if this socket refused the attempt.
pub(super) fn refused(blocker: &Blocker) -> bool {
    blocker.conflicts == Some(true) && !blocker.came_later
}
