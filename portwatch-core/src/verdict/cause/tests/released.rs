//! What gave its port back while the call was under way.

use super::*;
use crate::model::{
    freed::{Freed, FreedHow},
    socket::Address,
    verdict::Clause,
};

/// An attempt whose walk found nothing, and what was seen to go meanwhile.
fn released(how: FreedHow, owner: bool) -> Attempt {
    let mut attempt = bind("0.0.0.0", 8080, &[]);
    attempt.failure.as_mut().unwrap().released = Some(Freed {
        how,
        time: "2026-11-21T12:03:41.118000000Z".to_owned(),
        owner: owner.then(|| process("java", 977)),
        local: Address {
            addr: "127.0.0.1".parse().unwrap(),
            port: 8080,
        },
        remote: None,
    });
    attempt
}

#[test]
fn what_went_during_the_call_was_in_the_way() {
    let attempt = released(FreedHow::Closed, true).judged();
    assert_eq!(attempt.causes(), (Cause::ReleasedJustNow, &[][..]));
    let Verdict {
        confidence,
        because,
        remedies,
        would_succeed_if,
        ..
    } = attempt.verdict();
    assert_eq!(*confidence, Certainty::Inferred);
    assert_eq!(
        remedies[..],
        ["call bind() again: the port was free a moment later"]
    );
    assert!(because.is_empty() && would_succeed_if.is_empty());
    let again = attempt.clone().judged();
    assert_eq!(again, attempt);
}

#[rstest]
#[case(
    FreedHow::Closed,
    true,
    "java[977]'s socket 127.0.0.1:8080 was closed "
)]
#[case(FreedHow::Closed, false, "the socket 127.0.0.1:8080 was closed ")]
#[case(FreedHow::Exited, true, "java[977] ended, which had 127.0.0.1:8080, ")]
#[case(
    FreedHow::TimeWaitOver,
    true,
    "the TIME_WAIT 127.0.0.1:8080, left by java[977], was over "
)]
#[case(
    FreedHow::TimeWaitOver,
    false,
    "the TIME_WAIT 127.0.0.1:8080 was over "
)]
fn it_is_said_how_it_went(#[case] how: FreedHow, #[case] owner: bool, #[case] begins: &str) {
    let attempt = released(how, owner).judged();
    let summary = &attempt.verdict().summary;
    assert!(summary.starts_with(begins), "{summary}");
}

/// It is no more than a guess where something else may have refused.
#[test]
fn what_else_may_have_refused_comes_first() {
    let cause = |change: fn(&mut Attempt)| {
        let mut attempt = released(FreedHow::Closed, true);
        change(&mut attempt);
        attempt.judged().causes().0
    };
    let listens = |attempt: &mut Attempt| {
        let found = listener("0.0.0.0", 8080, &[]);
        attempt.failure.as_mut().unwrap().blockers = vec![found];
    };
    assert_eq!(cause(listens), Cause::LiveListener);
    assert_eq!(
        cause(|attempt| attempt.counts().truncated = true),
        Cause::Unknown
    );
    let not_walked = |attempt: &mut Attempt| {
        attempt.failure.as_mut().unwrap().blocker_counts = None;
    };
    assert_eq!(cause(not_walked), Cause::Unknown);
    // Its uid could not be read, so it may conflict.
    let undecided = |attempt: &mut Attempt| {
        attempt.options = vec![ReusePort];
        let found = Blocker {
            uid: None,
            ..listener("0.0.0.0", 8080, &[ReusePort])
        };
        attempt.failure.as_mut().unwrap().blockers = vec![found];
    };
    assert_eq!(cause(undecided), Cause::Unknown);
    // Another one took the port after that: it is not the blocker, and it conflicts now.
    let taken = |attempt: &mut Attempt| {
        let found = Blocker {
            came_later: true,
            ..listener("0.0.0.0", 8080, &[])
        };
        attempt.failure.as_mut().unwrap().blockers = vec![found];
    };
    assert_eq!(cause(taken), Cause::Unknown);
    let no_port = |attempt: &mut Attempt| attempt.port = Some(0);
    assert_eq!(cause(no_port), Cause::EphemeralExhausted);
    let allowed = |attempt: &mut Attempt| {
        let found = Blocker {
            clause: Clause::Undecided,
            ..listener("10.0.0.7", 8080, &[])
        };
        attempt.addr = Some("127.0.0.1".to_owned());
        attempt.failure.as_mut().unwrap().blockers = vec![found];
    };
    assert_eq!(cause(allowed), Cause::ReleasedJustNow);
}
