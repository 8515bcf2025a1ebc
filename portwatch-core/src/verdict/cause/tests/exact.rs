//! What the kernel itself was seen to refuse for.

use super::*;
use crate::model::process::{Owner, Source};

/// The kernel named this one.
fn named(blocker: Blocker) -> Blocker {
    Blocker {
        kernel_refused: true,
        ..blocker
    }
}

/// The walk has met a socket too.
fn met(mut attempt: Attempt) -> Attempt {
    attempt.counts().listen = 1;
    attempt
}

fn exact_listener() -> Attempt {
    met(bind("0.0.0.0", 8080, &[]).blocked_by([named(listener("0.0.0.0", 8080, &[]))]))
}

fn certainties(attempt: &Attempt) -> Vec<(State, Certainty)> {
    let each = attempt.blockers().iter();
    each.map(|blocker| (blocker.state, blocker.certainty))
        .collect()
}

#[test]
fn what_the_kernel_named_and_the_rule_confirms_is_exact() {
    let attempt = exact_listener().judged();
    assert_eq!(certainties(&attempt), [(State::Listen, Certainty::Exact)]);
    assert_eq!(attempt.verdict().confidence, Certainty::Exact);
    assert_eq!(attempt.causes(), (Cause::LiveListener, &[][..]));
    assert_eq!(
        attempt.clone().judged(),
        attempt,
        "judging twice changes nothing"
    );
}

#[test]
fn a_walk_that_was_cut_short_does_not_make_it_less_sure() {
    let mut attempt = exact_listener();
    attempt.counts().truncated = true;
    let attempt = attempt.judged();
    assert_eq!(attempt.verdict().confidence, Certainty::Exact);
    assert_eq!(attempt.verdict().would_succeed_if[..], [] as [&str; 0]);
}

#[test]
fn a_listener_is_to_be_acted_on_before_the_time_wait_that_the_kernel_met_first() {
    let attempt = bind("0.0.0.0", 8080, &[])
        .blocked_by([
            named(blocker(TimeWait, "10.0.0.1", 8080, &[])),
            listener("0.0.0.0", 8080, &[]),
        ])
        .judged();
    assert_eq!(
        certainties(&attempt),
        [
            (State::Listen, Certainty::Walked),
            (TimeWait, Certainty::Exact)
        ]
    );
    assert_eq!(attempt.verdict().confidence, Certainty::Walked);
    assert_eq!(
        attempt.causes(),
        (Cause::LiveListener, &[Cause::TimeWait][..])
    );
}

#[test]
fn among_equals_the_one_that_the_kernel_named_is_to_be_acted_on() {
    let nobodys = Blocker {
        owner: None,
        holders: Vec::new(),
        inode: Some(9),
        ..listener("0.0.0.0", 8080, &[])
    };
    let attempt = bind("0.0.0.0", 8080, &[])
        .blocked_by([listener("10.0.0.1", 8080, &[]), named(nobodys)])
        .judged();
    let first = &attempt.blockers()[0];
    assert_eq!((first.inode, first.primary), (Some(9), true));
}

#[test]
fn what_the_rule_allows_is_not_called_exact_and_is_not_concealed() {
    let attempt = bind("10.0.0.5", 8080, &[])
        .blocked_by([named(listener("10.0.0.6", 8080, &[]))])
        .judged();
    let [blocker] = attempt.blockers() else {
        panic!("{:?}", attempt.blockers())
    };
    assert_eq!(
        (blocker.conflicts, blocker.certainty, blocker.primary),
        (Some(false), Certainty::Walked, false)
    );
    assert_eq!(attempt.causes(), (Cause::Unknown, &[][..]));
    assert!(
        attempt.verdict().summary.starts_with(
            "the kernel compared it with 10.0.0.6:8080 (LISTEN) of java[977] and refused"
        ),
        "{}",
        attempt.verdict().summary
    );
}

#[test]
fn uids_that_could_not_be_read_have_been_compared() {
    let theirs = Blocker {
        uid: None,
        ..listener("0.0.0.0", 8080, &[ReusePort])
    };
    let both = |theirs| met(bind("0.0.0.0", 8080, &[ReusePort]).blocked_by([theirs])).judged();
    let walked = both(theirs.clone());
    assert_eq!(walked.causes(), (Cause::Unknown, &[][..]));
    let exact = both(named(theirs));
    assert_eq!(
        exact.causes(),
        (Cause::ReuseportUid, &[Cause::LiveListener][..])
    );
    assert_eq!(exact.verdict().confidence, Certainty::Exact);
}

#[test]
fn what_was_gone_a_moment_later_is_not_to_be_stopped() {
    let mut attempt = exact_listener();
    attempt.counts().listen = 0;
    let judged = attempt.clone().judged();
    assert_eq!(
        judged.causes(),
        (Cause::ReleasedJustNow, &[Cause::LiveListener][..])
    );
    let Verdict {
        summary,
        remedies,
        would_succeed_if,
        confidence,
        ..
    } = judged.verdict();
    assert_eq!(
        summary,
        "java[977] had 0.0.0.0:8080 (LISTEN) when the kernel refused; when its table was walked just after, no \
         socket had the port any more"
    );
    assert_eq!(
        remedies[..],
        ["call bind() again: the port was free a moment later"]
    );
    assert!(!would_succeed_if.is_empty());
    assert_eq!(*confidence, Certainty::Exact);

    // Not so where something may have been missed, or where the kernel named none.
    attempt.counts().truncated = true;
    assert_eq!(attempt.judged().causes().0, Cause::LiveListener);
    let walked = bind("0.0.0.0", 8080, &[]).blocked_by([listener("0.0.0.0", 8080, &[])]);
    assert_eq!(walked.judged().causes().0, Cause::LiveListener);
}

#[test]
fn a_socket_of_the_kernel_is_nobodys_service() {
    let theirs = |state| Blocker {
        kernel_socket: true,
        holders: Vec::new(),
        port_bound: Some(true),
        // Made by the process that then called itself.
        owner: Some(Owner {
            process: process("node", 4182),
            alive: Some(true),
            source: Source::Observed,
            stopping: None,
        }),
        ..blocker(state, "0.0.0.0", 8080, &[])
    };
    for state in [State::Listen, Bound, Established] {
        let attempt = bind("0.0.0.0", 8080, &[])
            .blocked_by([theirs(state)])
            .judged();
        assert_eq!(
            attempt.causes(),
            (Cause::KernelSocket, &[][..]),
            "{state:?}"
        );
    }
    let attempt = udp(bind("0.0.0.0", 8080, &[]).blocked_by([theirs(Bound)])).judged();
    assert_eq!(attempt.causes(), (Cause::KernelSocket, &[][..]));
}

#[test]
fn the_kernel_does_not_conflict_with_the_process_that_it_acts_in() {
    let mut attempt = bind("0.0.0.0", 8080, &[]).blocked_by([listener_of(process("node", 4182))]);
    assert_eq!(attempt.clone().judged().causes().0, Cause::SelfConflict);
    attempt.facts.kernel = true;
    assert_eq!(attempt.judged().causes().0, Cause::LiveListener);
}

#[rstest]
#[case(State::FinWait1)]
#[case(FinWait2)]
#[case(State::LastAck)]
#[case(State::Closing)]
fn a_connection_that_nobody_has_any_more_is_an_orphan(#[case] state: State) {
    let theirs = Blocker {
        state,
        ..orphan("10.0.0.1", 8080, &[])
    };
    let attempt = bind("0.0.0.0", 8080, &[]).blocked_by([named(theirs)]);
    assert_eq!(
        met(attempt).judged().causes(),
        (Cause::OrphanConnection, &[][..])
    );
}
