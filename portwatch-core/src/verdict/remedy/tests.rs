use crate::prelude::*;
use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::{
    model::{
        attempt::{Attempt, Blocker, Op},
        process::Owner,
        socket::{
            Proto,
            SocketOption::{self, ReuseAddr, ReusePort, ReusePortGroup, V6Only},
        },
        verdict::Verdict,
    },
    verdict::{
        judge,
        rule::{case, primary},
        testing::{bind, blocker, listener, orphan},
    },
};

const STATES: [State; 8] = [
    State::Listen,
    State::Bound,
    State::Established,
    State::SynSent,
    State::CloseWait,
    State::FinWait1,
    State::LastAck,
    State::TimeWait,
];

fn texts(attempt: &Attempt) -> String {
    let Verdict {
        remedies,
        would_succeed_if,
        ..
    } = attempt.verdict();
    [remedies.join("\n"), would_succeed_if.join("\n")].concat()
}

#[rstest]
fn reuseaddr_is_no_remedy_against_a_listener(
    #[values(&[], &[ReuseAddr])] ours: &[SocketOption],
    #[values(&[], &[ReuseAddr])] theirs: &[SocketOption],
) {
    let attempt = bind("0.0.0.0", 8080, ours)
        .blocked_by([listener("0.0.0.0", 8080, theirs)])
        .judged();
    assert!(
        !texts(&attempt).contains("SO_REUSEADDR"),
        "{}",
        texts(&attempt)
    );
}

#[rstest]
fn reuseaddr_is_no_remedy_against_a_clients_time_wait(
    #[values(&[], &[ReuseAddr])] ours: &[SocketOption],
    #[values(&[], &[ReuseAddr])] theirs: &[SocketOption],
) {
    let left = Blocker {
        connected_out: Some(true),
        ..blocker(State::TimeWait, "10.0.0.1", 40000, theirs)
    };
    let attempt = bind("0.0.0.0", 40000, ours).blocked_by([left]).judged();
    if let Some(Verdict { cause, .. }) = attempt
        .failure
        .as_ref()
        .and_then(|failure| failure.verdict.as_ref())
        && *cause == Cause::EphemeralTimeWait
    {
        assert!(
            !texts(&attempt).contains("SO_REUSEADDR"),
            "{}",
            texts(&attempt)
        );
    }
}

#[test]
fn reuseaddr_is_no_remedy_now_against_connections_without_it() {
    for state in [State::Established, State::FinWait1, State::TimeWait] {
        let left = Blocker {
            connected_out: Some(false),
            ..blocker(state, "10.0.0.1", 8080, &[])
        };
        let attempt = bind("0.0.0.0", 8080, &[]).blocked_by([left]).judged();
        for remedy in &attempt.verdict().remedies {
            assert!(
                !remedy.contains("SO_REUSEADDR") || remedy.starts_with("from the next start on"),
                "{remedy}"
            );
        }
    }
}

#[test]
fn a_remedy_takes_every_socket_out_of_the_way() {
    let attempt = bind("0.0.0.0", 8080, &[])
        .blocked_by([
            listener("0.0.0.0", 8080, &[]),
            blocker(State::TimeWait, "10.0.0.1", 8080, &[]),
        ])
        .judged();
    let Verdict { remedies, .. } = attempt.verdict();
    assert_eq!(
        remedies[..],
        [
            "stop java[977], or make it close its socket on 0.0.0.0:8080, and wait until the TIME_WAIT has \
          ended, in at least 42 s"
        ]
    );
    let connected = blocker(State::Established, "10.0.0.1", 8080, &[]);
    let attempt = bind("0.0.0.0", 8080, &[])
        .blocked_by([listener("0.0.0.0", 8080, &[]), connected])
        .judged();
    assert!(
        !texts(&attempt).contains("stop java"),
        "{}",
        texts(&attempt)
    );
}

#[test]
fn waiting_needs_times_and_nothing_else_in_the_way() {
    let left = || blocker(State::TimeWait, "10.0.0.1", 8080, &[]);
    let waits = |blockers: Vec<Blocker>| {
        let attempt = bind("0.0.0.0", 8080, &[]).blocked_by(blockers).judged();
        attempt
            .verdict()
            .remedies
            .iter()
            .find(|remedy| remedy.starts_with("wait until"))
            .cloned()
    };
    let later = Blocker {
        expires_in_ms: Some(58_000),
        ..left()
    };
    assert_eq!(
        waits(vec![left(), later]).unwrap(),
        "wait until the TIME_WAIT has ended, in at least 58 s"
    );
    assert_eq!(
        waits(vec![
            left(),
            Blocker {
                expires_in_ms: None,
                ..left()
            }
        ]),
        None
    );
    assert_eq!(waits(vec![left(), orphan("10.0.0.1", 8080, &[])]), None);
}

#[test]
fn what_was_not_looked_at_is_not_promised() {
    let mut attempt = bind("0.0.0.0", 8080, &[]).blocked_by([listener("0.0.0.0", 8080, &[])]);
    attempt.counts().blockers_truncated = true;
    let attempt = attempt.judged();
    let Verdict {
        remedies,
        would_succeed_if,
        ..
    } = attempt.verdict();
    assert!(would_succeed_if.is_empty());
    for remedy in remedies {
        assert!(
            remedy
                .ends_with("(confirmed for the one socket that was looked at; there may be more)")
        );
    }
    assert!(!remedies.is_empty());
}

#[test]
fn a_later_socket_is_in_the_way_of_the_next_call_only() {
    let later = Blocker {
        came_later: true,
        ..listener("10.0.0.1", 8080, &[])
    };
    let attempt = bind("0.0.0.0", 8080, &[])
        .blocked_by([
            blocker(State::TimeWait, "10.0.0.1", 8080, &[ReuseAddr]),
            later,
        ])
        .judged();
    let Verdict {
        remedies,
        would_succeed_if,
        ..
    } = attempt.verdict();
    assert_eq!(
        would_succeed_if[0],
        "SO_REUSEADDR were set on the new socket"
    );
    assert!(
        remedies
            .iter()
            .all(|remedy| remedy != "set SO_REUSEADDR on the new socket before bind()")
    );
}

#[test]
fn who_may_be_in_the_way_is_named_too() {
    let unread = Blocker {
        uid: None,
        ..listener("10.0.0.1", 8080, &[ReusePort])
    };
    let attempt = bind("0.0.0.0", 8080, &[ReuseAddr, ReusePort])
        .blocked_by([listener("10.0.0.2", 8080, &[]), unread])
        .judged();
    let Verdict {
        would_succeed_if, ..
    } = attempt.verdict();
    let closed = "java[977] had closed 10.0.0.2:8080 and 10.0.0.1:8080";
    assert!(
        would_succeed_if.iter().any(|text| text == closed),
        "{would_succeed_if:?}"
    );
    assert!(
        would_succeed_if[0].ends_with("all these sockets were made by one user"),
        "{would_succeed_if:?}"
    );
}

#[test]
fn systemd_is_not_to_be_stopped() {
    let mut theirs = listener("0.0.0.0", 80, &[]);
    let systemd = crate::verdict::testing::process("systemd", 1);
    theirs.holders[0].process = systemd;
    let attempt = bind("0.0.0.0", 80, &[]).blocked_by([theirs]).judged();
    assert!(
        attempt.verdict().remedies[0]
            .starts_with("stop the socket unit that systemd[1] listens for")
    );
}

#[test]
fn sharing_spreads_over_one_address_only() {
    let of = |theirs| {
        bind("0.0.0.0", 80, &[])
            .blocked_by([listener(theirs, 80, &[])])
            .judged()
    };
    assert!(texts(&of("0.0.0.0")).contains("spread over both"));
    assert!(!texts(&of("10.0.0.1")).contains("spread over both"));
}

fn options() -> impl Strategy<Value = Vec<SocketOption>> {
    prop::sample::subsequence(vec![ReuseAddr, ReusePort, ReusePortGroup, V6Only], 0..=4)
}

fn addrs() -> impl Strategy<Value = &'static str> {
    let addrs = [
        "0.0.0.0",
        "10.0.0.1",
        "10.0.0.2",
        "::",
        "2001:db8::1",
        "::ffff:10.0.0.1",
    ];
    prop::sample::select(addrs.to_vec())
}

fn blockers() -> impl Strategy<Value = Blocker> {
    let facts = (
        any::<bool>(),
        prop::option::of(any::<bool>()),
        prop::option::of(any::<bool>()),
    );
    let rest = (
        prop::option::of(0..2_u32),
        0..3_u32,
        any::<bool>(),
        prop::option::of(0..60_000_u64),
    );
    (
        prop::sample::select(STATES.to_vec()),
        addrs(),
        options(),
        facts,
        rest,
    )
        .prop_map(
            |(
                state,
                addr,
                options,
                (came_later, out, port_bound),
                (uid, device, has_inode, expires),
            )| {
                let made = blocker(state, addr, 8080, &options);
                Blocker {
                    came_later,
                    connected_out: out,
                    port_bound,
                    uid,
                    device_index: device,
                    inode: made.inode.filter(|_| has_inode),
                    expires_in_ms: expires.filter(|_| state == State::TimeWait),
                    ..made
                }
            },
        )
}

fn attempts() -> impl Strategy<Value = Attempt> {
    let calls = (
        any::<bool>(),
        any::<bool>(),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.2),
    );
    (
        addrs(),
        options(),
        calls,
        prop::collection::vec(blockers(), 0..6),
    )
        .prop_map(|(addr, options, (udp, listen, any, truncated), blockers)| {
            let mut attempt = bind(addr, if any { 0 } else { 8080 }, &options).blocked_by(blockers);
            attempt.proto = if udp { Proto::Udp } else { Proto::Tcp };
            attempt.op = if listen && !udp { Op::Listen } else { Op::Bind };
            attempt.counts().truncated = truncated;
            attempt
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn verdicts_hold_together(attempt in attempts()) {
        let mut judged = attempt.clone();
        judge(&mut judged);
        let failure = judged.failure.clone().unwrap();
        let blockers = &failure.blockers;
        prop_assert_eq!(blockers.len(), attempt.blockers().len());

        // The primary is the first, it conflicts, and there is one if any refused the call.
        let primaries = blockers.iter().filter(|blocker| blocker.primary).count();
        let refused = blockers.iter().any(primary::refused);
        prop_assert_eq!(primaries, usize::from(refused));
        prop_assert!(!refused || (blockers[0].primary && primary::refused(&blockers[0])));

        // No cause twice, nothing unknown beside a cause, one answer to whose the listener is.
        let Verdict { cause, also, remedies, would_succeed_if, summary, .. } = failure.verdict.as_ref().unwrap();
        let mut all = also.clone();
        all.push(*cause);
        let whose = |cause: &&Cause| matches!(cause, Cause::LiveListener | Cause::SameService);
        prop_assert!(all.iter().filter(whose).count() <= 1);
        prop_assert!(!also.contains(&Cause::Unknown));
        all.sort_unstable();
        all.dedup();
        prop_assert_eq!(all.len(), also.len() + 1);
        prop_assert!(!summary.is_empty() && !summary.contains('\n'));
        if !refused {
            prop_assert!(would_succeed_if.is_empty());
            prop_assert!(matches!(cause, Cause::Unknown | Cause::EphemeralExhausted));
        }
        for text in remedies.iter().chain(would_succeed_if) {
            prop_assert!(!text.is_empty() && !text.contains("  "), "{}", text);
        }

        // Judging again changes nothing.
        let again = judged.clone().judged();
        prop_assert_eq!(&again, &judged);

        // Every counterfactual is one by the rule, and none has a part too many.
        let transport = Transport::of(judged.proto).unwrap();
        let asked = case::asked(&judged, transport).unwrap();
        let case = Case::new(&judged, asked, &failure);
        for found in counterfactuals(&case) {
            prop_assert!(confirms(&case, &found.0), "{:?}", found);
            for change in &found.0 {
                let less: Vec<Change> = found.0.iter().copied().filter(|other| other != change).collect();
                prop_assert!(!confirms(&case, &less), "{:?}", found);
            }
        }
    }

    /// What is said to help one call is then put to the rule from the outside.
    #[test]
    fn options_that_are_said_to_help_do(attempt in attempts()) {
        let judged = attempt.clone().judged();
        let helps = |text: &str| judged.verdict().would_succeed_if.iter().any(|said| said == text);
        let allowed = |change: &dyn Fn(&mut Attempt)| {
            let mut changed = attempt.clone();
            change(&mut changed);
            let mut changed = changed.judged();
            changed.failure.as_mut().unwrap().blockers.retain(|blocker| !blocker.came_later);
            changed.blockers().iter().all(|blocker| blocker.conflicts == Some(false))
        };
        if helps("SO_REUSEADDR were set on the new socket") {
            prop_assert!(allowed(&|attempt| attempt.options.push(ReuseAddr)));
        }
        if helps("SO_REUSEPORT were set on the new socket") {
            prop_assert!(allowed(&|attempt| attempt.options.push(ReusePort)));
        }
        if helps("IPV6_V6ONLY were set on the new socket") {
            prop_assert!(allowed(&|attempt| attempt.options.push(V6Only)));
        }
    }
}

/// Who has ended cannot be stopped, and nobody else was found.
#[test]
fn nobody_is_told_to_stop_what_has_ended() {
    let with_ended_owner = |blocker: Blocker| {
        let owner = blocker.owner.clone().map(|owner| Owner {
            alive: Some(false),
            ..owner
        });
        Blocker { owner, ..blocker }
    };
    let abandoned = with_ended_owner(blocker(State::Listen, "0.0.0.0", 8080, &[]));
    let gone = bind("0.0.0.0", 8080, &[])
        .blocked_by([abandoned.clone()])
        .judged();
    let text = texts(&gone);
    assert!(
        text.contains("try again: whoever had 0.0.0.0:8080 has ended"),
        "{text}"
    );
    assert!(
        text.contains("0.0.0.0:8080 had been closed before"),
        "{text}"
    );
    assert!(!text.contains("stop"), "{text}");
    // Somebody else has it open, or conflicts as well.
    let kept = with_ended_owner(listener("0.0.0.0", 8080, &[]));
    let other = listener("127.0.0.1", 8080, &[]);
    for blockers in [vec![kept], vec![abandoned, other]] {
        let attempt = bind("0.0.0.0", 8080, &[]).blocked_by(blockers).judged();
        let text = texts(&attempt);
        assert!(text.contains("stop java[977]"), "{text}");
        assert!(!text.contains("try again"), "{text}");
    }
}
