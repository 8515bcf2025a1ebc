use crate::prelude::*;
use rstest::rstest;

use crate::{
    model::{
        attempt::{Attempt, Blocker},
        keeper::{Keeper, KeeperHow},
        socket::State,
        verdict::Cause,
    },
    verdict::testing::{bind, blocker, listener, process},
};

fn kept(how: KeeperHow, call: Option<&str>) -> Keeper {
    Keeper {
        how,
        process: process("worker", 55),
        tid: (how == KeeperHow::Call).then_some(57),
        fd: Some(6),
        call: call.map(str::to_owned),
        sender: None,
        shared: false,
    }
}

fn refused(state: State, kept: Keeper) -> Attempt {
    let blocker = Blocker {
        kept_by: Some(Box::new(kept)),
        ..blocker(state, "0.0.0.0", 8080, &[])
    };
    bind("0.0.0.0", 8080, &[]).blocked_by([blocker]).judged()
}

#[rstest]
#[case(State::Listen, Cause::LiveListener)]
#[case(State::Bound, Cause::BoundNotListening)]
fn a_message_keeps_a_socket_whatever_its_state(#[case] state: State, #[case] also: Cause) {
    let attempt = refused(state, kept(KeeperHow::Message, None));
    assert_eq!(attempt.causes(), (Cause::DescriptorInFlight, &[also][..]));
    let verdict = attempt.verdict();
    assert!(
        verdict
            .summary
            .contains("a unix socket of worker[55] (fd 6)"),
        "{}",
        verdict.summary
    );
    // Whoever had it has no hand in it any more.
    let texts = verdict.remedies.iter().chain(&verdict.would_succeed_if);
    assert!(
        !texts.clone().any(|text| text.contains("java")),
        "{verdict:?}"
    );
    assert!(
        verdict.remedies[0].contains("or stop worker[55]"),
        "{verdict:?}"
    );
}

#[test]
fn one_of_many_receivers_is_not_stopped_in_vain() {
    let kept = Keeper {
        shared: true,
        ..kept(KeeperHow::Message, None)
    };
    let attempt = refused(State::Listen, kept);
    let remedy = &attempt.verdict().remedies[0];
    assert!(
        remedy.contains("stop every process that has that unix socket open"),
        "{remedy}"
    );
}

#[test]
fn a_thread_in_accept_is_woken_by_shutdown() {
    let attempt = refused(State::Listen, kept(KeeperHow::Call, Some("accept4")));
    let verdict = attempt.verdict();
    assert_eq!(verdict.cause, Cause::PendingRelease);
    assert!(
        verdict.summary.ends_with(
            "thread 57 of worker[55] still waits for it, in accept4() on what was its fd 6"
        ),
        "{}",
        verdict.summary
    );
    assert_eq!(
        verdict.would_succeed_if[0],
        "worker[55] had called shutdown() on the socket before it closed it"
    );
}

/// `shutdown()` is not offered where it is not known to end the call.
#[rstest]
#[case::another_call(Some("ppoll"), false)]
#[case::unknown(None, false)]
#[case::not_alone(Some("accept4"), true)]
fn shutdown_is_offered_to_accept_alone(#[case] call: Option<&str>, #[case] shared: bool) {
    let kept = Keeper {
        shared,
        ..kept(KeeperHow::Call, call)
    };
    let attempt = refused(State::Listen, kept);
    let verdict = attempt.verdict();
    let texts = verdict.remedies.iter().chain(&verdict.would_succeed_if);
    assert!(
        !texts.clone().any(|text| text.contains("shutdown")),
        "{verdict:?}"
    );
    assert_eq!(verdict.cause, Cause::PendingRelease);
}

#[rstest]
#[case::registered(Some(6), "registered files")]
#[case::under_way(None, "request")]
fn a_ring_keeps_a_socket_in_two_ways(#[case] fd: Option<u32>, #[case] words: &str) {
    let kept = Keeper {
        fd,
        ..kept(KeeperHow::IoUring, None)
    };
    let attempt = refused(State::Listen, kept);
    let verdict = attempt.verdict();
    assert_eq!(verdict.cause, Cause::PendingRelease);
    for text in [
        &verdict.summary,
        &verdict.remedies[0],
        &verdict.would_succeed_if[0],
    ] {
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn with_another_listener_both_have_to_go() {
    let first = Blocker {
        kept_by: Some(Box::new(kept(KeeperHow::Call, Some("accept4")))),
        inode: Some(1),
        ..blocker(State::Listen, "127.0.0.1", 8080, &[])
    };
    let attempt = bind("0.0.0.0", 8080, &[])
        .blocked_by([first, listener("127.0.0.2", 8080, &[])])
        .judged();
    let verdict = attempt.verdict();
    let would = &verdict.would_succeed_if[0];
    assert!(
        would.contains("worker[55]") && would.contains("java[977]"),
        "{verdict:?}"
    );
    assert!(would.contains("all ended"), "{verdict:?}");
}
