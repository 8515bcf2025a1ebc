use rstest::rstest;

use super::*;
use crate::{
    model::{
        number::Big,
        process::Holder,
        socket::{
            SocketOption::{self, ReuseAddr, ReusePort, ReusePortGroup, V6Only},
            State::{Bound, CloseWait, Established, FinWait2, SynSent, TimeWait},
        },
    },
    verdict::testing::{bind, blocker, listener, orphan, process},
};

/// A listener of this process.
fn listener_of(process: Process) -> Blocker {
    Blocker {
        owner: None,
        holders: vec![Holder { process, fd: 5 }],
        ..listener("0.0.0.0", 8080, &[])
    }
}

fn connection(state: State, out: Option<bool>) -> Blocker {
    Blocker {
        connected_out: out,
        ..blocker(state, "10.0.0.1", 8080, &[])
    }
}

fn udp(attempt: Attempt) -> Attempt {
    Attempt {
        proto: Proto::Udp,
        ..attempt
    }
}

fn listen(options: &[SocketOption]) -> Attempt {
    Attempt {
        op: Op::Listen,
        ..bind("0.0.0.0", 8080, options)
    }
}

#[test]
fn a_listener_of_somebody_else() {
    let attempt = bind("0.0.0.0", 8080, &[])
        .blocked_by([listener("0.0.0.0", 8080, &[])])
        .judged();
    assert_eq!(attempt.causes(), (Cause::LiveListener, &[][..]));
    let Verdict {
        summary,
        because,
        confidence,
        remedies,
        would_succeed_if,
        ..
    } = attempt.verdict();
    assert_eq!(summary, "java[977] listens on 0.0.0.0:8080");
    assert_eq!(
        because,
        "it listens, and the port of a listener is shared only with SO_REUSEPORT on both sockets (here: neither)"
    );
    assert_eq!(*confidence, Certainty::Walked);
    assert_eq!(
        remedies[..],
        [
            "stop java[977], or make it close its socket on 0.0.0.0:8080",
            "set SO_REUSEPORT on both sockets before bind(); new connections are then spread over both",
        ]
    );
    assert_eq!(
        would_succeed_if[..],
        [
            "java[977] had closed 0.0.0.0:8080",
            "SO_REUSEPORT were set on the new socket and on the socket of java[977] on 0.0.0.0:8080",
        ]
    );
    let primary = &attempt.blockers()[0];
    assert!(primary.primary);
    assert_eq!(
        (primary.conflicts, primary.clause),
        (Some(true), Clause::Listening)
    );
}

#[test]
fn a_listener_of_the_same_service() {
    let of = |pid, start: u64| Process {
        unit: Some("app.service".to_owned()),
        start_boot_ns: Some(Big(start)),
        ..process("python3", pid)
    };
    let mut attempt = bind("0.0.0.0", 8080, &[]).blocked_by([listener_of(of(977, 1_000_000_000))]);
    attempt.process = of(4182, 9_000_000_000);
    let attempt = attempt.judged();
    assert_eq!(attempt.causes(), (Cause::SameService, &[][..]));
    assert_eq!(
        attempt.verdict().summary,
        "python3[977] listens on 0.0.0.0:8080; it is an older instance of the same service (both belong to \
         app.service)"
    );
    assert_eq!(
        attempt.verdict().remedies[0],
        "stop python3[977] (app.service) before another instance starts"
    );
}

#[test]
fn a_listener_of_the_same_process() {
    let attempt = bind("0.0.0.0", 8080, &[])
        .blocked_by([listener_of(process("node", 4182))])
        .judged();
    assert_eq!(attempt.causes(), (Cause::SelfConflict, &[][..]));
    let Verdict {
        summary,
        remedies,
        would_succeed_if,
        ..
    } = attempt.verdict();
    assert_eq!(
        summary,
        "node[4182] itself already listens on 0.0.0.0:8080 (fd 5; this attempt was on fd 7)"
    );
    assert_eq!(
        remedies[0],
        "close fd 5 of this same process first, or bind only once"
    );
    assert_eq!(would_succeed_if[0], "this process had closed fd 5 first");
}

#[test]
fn another_process_with_the_same_pid_is_another_process() {
    let reused = Process {
        start_boot_ns: Some(Big(1)),
        ..process("node", 4182)
    };
    let attempt = bind("0.0.0.0", 8080, &[])
        .blocked_by([listener_of(reused)])
        .judged();
    assert_eq!(attempt.verdict().cause, Cause::LiveListener);
}

#[test]
fn the_second_listen_of_two() {
    let attempt = listen(&[ReuseAddr])
        .blocked_by([listener("0.0.0.0", 8080, &[ReuseAddr])])
        .judged();
    assert_eq!(
        attempt.causes(),
        (Cause::ListenRace, &[Cause::LiveListener][..])
    );
    assert_eq!(
        attempt.verdict().summary,
        "java[977] already listens on 0.0.0.0:8080: both could bind(), but only the first can listen()"
    );
    let mut own = listen(&[ReuseAddr]).blocked_by([listener_of(process("node", 4182))]);
    own.blockers();
    own = own.judged();
    assert_eq!(
        own.causes(),
        (Cause::ListenRace, &[Cause::SelfConflict][..])
    );
}

#[test]
fn reuseport_of_two_users() {
    let theirs = Blocker {
        uid: Some(1000),
        ..listener("0.0.0.0", 8080, &[ReusePort])
    };
    let attempt = bind("0.0.0.0", 8080, &[ReusePort])
        .blocked_by([theirs])
        .judged();
    assert_eq!(
        attempt.causes(),
        (Cause::ReuseportUid, &[Cause::LiveListener][..])
    );
    let Verdict {
        summary,
        remedies,
        would_succeed_if,
        ..
    } = attempt.verdict();
    assert!(
        summary.ends_with("its uid is 1000, that of the new socket 0"),
        "{summary}"
    );
    assert!(
        remedies[0].starts_with("make both sockets as one user"),
        "{remedies:?}"
    );
    assert_eq!(
        would_succeed_if[0],
        "the new socket were made by uid 1000 too"
    );
}

#[rstest]
#[case(&[ReusePort], &[], "only the new socket has SO_REUSEPORT")]
#[case(&[], &[ReusePort], "only that socket has SO_REUSEPORT")]
#[case(&[ReusePort, ReusePortGroup], &[ReusePort], "reuseport group or program before this call")]
fn reuseport_on_one_side(
    #[case] ours: &[SocketOption],
    #[case] theirs: &[SocketOption],
    #[case] says: &str,
) {
    let attempt = bind("0.0.0.0", 8080, ours)
        .blocked_by([listener("0.0.0.0", 8080, theirs)])
        .judged();
    assert_eq!(
        attempt.causes(),
        (Cause::ReuseportMissing, &[Cause::LiveListener][..])
    );
    assert!(
        attempt.verdict().summary.ends_with(says),
        "{}",
        attempt.verdict().summary
    );
}

#[rstest]
#[case(
    "0.0.0.0",
    "::",
    "listens on [::]:8080, which covers 0.0.0.0:8080",
    "make java[977] set IPV6_V6ONLY"
)]
#[case(
    "::",
    "10.0.0.1",
    "listens on 10.0.0.1:8080, which [::]:8080 covers",
    "set IPV6_V6ONLY on the new"
)]
fn ipv6_that_covers_ipv4(
    #[case] ours: &str,
    #[case] theirs: &str,
    #[case] says: &str,
    #[case] remedy: &str,
) {
    let attempt = bind(ours, 8080, &[])
        .blocked_by([listener(theirs, 8080, &[])])
        .judged();
    assert_eq!(
        attempt.causes(),
        (Cause::DualStack, &[Cause::LiveListener][..])
    );
    assert_eq!(attempt.verdict().summary, format!("java[977] {says}"));
    assert!(
        attempt.verdict().remedies[0].starts_with(remedy),
        "{:?}",
        attempt.verdict().remedies
    );
    let v6 = attempt.blockers()[0].clone();
    let apart = Blocker {
        options: vec![V6Only],
        ..v6
    };
    if ours == "0.0.0.0" {
        let attempt = bind(ours, 8080, &[]).blocked_by([apart]).judged();
        assert_eq!(attempt.blockers()[0].clause, Clause::AddressesDiffer);
    }
}

#[rstest]
#[case(
    "0.0.0.0",
    "10.0.0.1",
    "which 0.0.0.0:8080 covers",
    "bind a specific address other than 10.0.0.1"
)]
#[case(
    "10.0.0.1",
    "0.0.0.0",
    "which covers 10.0.0.1:8080",
    "make java[977] bind a specific address other"
)]
#[case(
    "::",
    "::1",
    "which [::]:8080 covers",
    "bind a specific IPv6 address other than ::1"
)]
fn a_wildcard_against_a_specific_address(
    #[case] ours: &str,
    #[case] theirs: &str,
    #[case] says: &str,
    #[case] remedy: &str,
) {
    let attempt = bind(ours, 8080, &[])
        .blocked_by([listener(theirs, 8080, &[V6Only])])
        .judged();
    assert_eq!(
        attempt.causes(),
        (Cause::WildcardOverlap, &[Cause::LiveListener][..])
    );
    assert!(
        attempt.verdict().summary.ends_with(says),
        "{}",
        attempt.verdict().summary
    );
    assert!(
        attempt.verdict().remedies[0].starts_with(remedy),
        "{:?}",
        attempt.verdict().remedies
    );
}

#[test]
fn a_socket_that_never_listened() {
    let attempt = bind("0.0.0.0", 8080, &[ReuseAddr])
        .blocked_by([blocker(Bound, "0.0.0.0", 8080, &[])])
        .judged();
    assert_eq!(attempt.causes(), (Cause::BoundNotListening, &[][..]));
    let Verdict {
        summary,
        would_succeed_if,
        ..
    } = attempt.verdict();
    assert_eq!(
        summary,
        "java[977] is bound to 0.0.0.0:8080, and neither listens nor is connected"
    );
    assert_eq!(
        would_succeed_if[1],
        "SO_REUSEADDR were set on the socket of java[977] on 0.0.0.0:8080"
    );
    let own = Blocker {
        state: Bound,
        ..listener_of(process("node", 4182))
    };
    let attempt = bind("0.0.0.0", 8080, &[]).blocked_by([own]).judged();
    assert_eq!(
        attempt.causes(),
        (Cause::SelfConflict, &[Cause::BoundNotListening][..])
    );
}

#[rstest]
#[case::the_new_one_lacks_it(&[], &[ReuseAddr], "set SO_REUSEADDR on the new socket before bind()")]
#[case::the_old_one_lacked_it(&[ReuseAddr], &[], "wait until the TIME_WAIT has ended, in at least 42 s")]
#[case::both_lack_it(&[], &[], "wait until the TIME_WAIT has ended, in at least 42 s")]
fn time_wait_of_an_old_server(
    #[case] ours: &[SocketOption],
    #[case] theirs: &[SocketOption],
    #[case] remedy: &str,
    #[values(None, Some(false))] out: Option<bool>,
) {
    let theirs = Blocker {
        connected_out: out,
        ..blocker(TimeWait, "10.0.0.1", 8080, theirs)
    };
    let copied = theirs.options.is_empty();
    let attempt = bind("0.0.0.0", 8080, ours).blocked_by([theirs]).judged();
    assert_eq!(attempt.causes(), (Cause::TimeWait, &[][..]));
    let Verdict {
        summary,
        remedies,
        would_succeed_if,
        ..
    } = attempt.verdict();
    assert_eq!(
        summary,
        "the connection 10.0.0.1:8080 <-> 10.0.0.9:51234 is in TIME_WAIT for at least 42 s more; it was \
         java[977]'s"
    );
    assert_eq!(remedies[0], remedy);
    assert_eq!(
        remedies[1].starts_with("from the next start on"),
        copied,
        "{remedies:?}"
    );
    let past = would_succeed_if.iter().any(|text| {
        text.contains("the old server had set SO_REUSEADDR before it listened")
            || text.contains("had had SO_REUSEADDR from the beginning")
    });
    assert_eq!(past, copied, "{would_succeed_if:?}");
}

#[test]
fn time_wait_of_a_client() {
    let theirs = Blocker {
        connected_out: Some(true),
        ..blocker(TimeWait, "10.0.0.1", 40000, &[])
    };
    let mut attempt = bind("0.0.0.0", 40000, &[ReuseAddr]).blocked_by([theirs]);
    let judged = attempt.clone().judged();
    assert_eq!(judged.causes(), (Cause::EphemeralTimeWait, &[][..]));
    assert!(
        judged.verdict().remedies[0].starts_with("add 40000 to net.ipv4.ip_local_reserved_ports")
    );
    attempt.facts.port_reserved = Some(true);
    assert!(attempt.judged().verdict().remedies[0].starts_with("wait"));
}

#[test]
fn a_client_that_has_the_port() {
    let theirs = Blocker {
        connected_out: Some(true),
        ..blocker(Established, "10.0.0.1", 40000, &[])
    };
    let attempt = bind("0.0.0.0", 40000, &[ReuseAddr])
        .blocked_by([theirs])
        .judged();
    assert_eq!(attempt.causes(), (Cause::EphemeralPort, &[][..]));
    let Verdict {
        summary,
        remedies,
        would_succeed_if,
        ..
    } = attempt.verdict();
    assert_eq!(
        summary,
        "java[977] has 10.0.0.1:40000 as the source port of its connection to 10.0.0.9:51234 (ESTABLISHED), \
         picked by the kernel"
    );
    assert!(remedies[0].starts_with("add 40000 to net.ipv4.ip_local_reserved_ports"));
    assert_eq!(
        would_succeed_if[0],
        "the client had set SO_REUSEADDR before connect()"
    );
}

#[rstest]
#[case(SynSent)]
#[case(CloseWait)]
#[case(FinWait2)]
fn a_client_in_any_state(#[case] state: State) {
    let attempt = bind("0.0.0.0", 8080, &[])
        .blocked_by([connection(state, Some(true))])
        .judged();
    assert_eq!(attempt.causes(), (Cause::EphemeralPort, &[][..]));
    // 8080 is no port that connect() picks now: nothing to reserve.
    assert!(
        !attempt
            .verdict()
            .remedies
            .iter()
            .any(|remedy| remedy.contains("reserved"))
    );
}

#[test]
fn a_connection_that_nobody_has() {
    let attempt = bind("0.0.0.0", 8080, &[ReuseAddr])
        .blocked_by([orphan("10.0.0.1", 8080, &[])])
        .judged();
    assert_eq!(attempt.causes(), (Cause::OrphanConnection, &[][..]));
    assert_eq!(
        attempt.verdict().summary,
        "the connection 10.0.0.1:8080 <-> 10.0.0.9:51234 is closed and still finishing (FIN_WAIT1); it was \
         java[977]'s"
    );
    let out = Blocker {
        connected_out: Some(true),
        ..orphan("10.0.0.1", 8080, &[])
    };
    let attempt = bind("0.0.0.0", 8080, &[ReuseAddr])
        .blocked_by([out])
        .judged();
    assert_eq!(
        attempt.causes(),
        (Cause::OrphanConnection, &[Cause::EphemeralPort][..])
    );
}

#[test]
fn a_connection_that_outlives_its_listener() {
    let theirs = connection(Established, Some(false));
    let attempt = bind("0.0.0.0", 8080, &[ReuseAddr])
        .blocked_by([theirs.clone()])
        .judged();
    assert_eq!(attempt.causes(), (Cause::LingeringConnection, &[][..]));
    assert_eq!(
        attempt.verdict().would_succeed_if[0],
        "the old server had set SO_REUSEADDR before it listened"
    );
    // With its listener there, it does not linger.
    let attempt = bind("0.0.0.0", 8080, &[ReuseAddr])
        .blocked_by([theirs, listener("0.0.0.0", 8080, &[])])
        .judged();
    assert_eq!(attempt.causes(), (Cause::LiveListener, &[][..]));
}

#[rstest]
#[case::unseen(
    None,
    Some(false),
    "whether it was accepted or has its port from connect() was not seen"
)]
#[case::bound(Some(false), Some(true), "on a port that it bound itself")]
fn a_connection_of_unproven_origin(
    #[case] out: Option<bool>,
    #[case] port_bound: Option<bool>,
    #[case] says: &str,
) {
    let theirs = Blocker {
        port_bound,
        ..connection(Established, out)
    };
    let attempt = bind("0.0.0.0", 8080, &[ReuseAddr])
        .blocked_by([theirs])
        .judged();
    assert_eq!(attempt.causes(), (Cause::Unknown, &[][..]));
    assert!(
        attempt.verdict().summary.ends_with(says),
        "{}",
        attempt.verdict().summary
    );
    assert!(attempt.blockers()[0].primary);
}

#[test]
fn a_connection_that_nobody_has_accepted_is_no_orphan() {
    let queued = Blocker {
        inode: None,
        uid: Some(1000),
        ..blocker(Established, "10.0.0.1", 8080, &[ReusePort])
    };
    let shared = listener("0.0.0.0", 8080, &[ReusePort]);
    let attempt = bind("0.0.0.0", 8080, &[ReusePort])
        .blocked_by([shared, queued])
        .judged();
    assert_eq!(attempt.causes(), (Cause::ReuseportUid, &[][..]));
    assert!(
        attempt
            .verdict()
            .summary
            .contains("no process has accepted it yet")
    );
}

#[test]
fn udp_has_no_listeners_but_names_the_same_causes() {
    let theirs = || blocker(Bound, "0.0.0.0", 8080, &[]);
    let attempt = udp(bind("0.0.0.0", 8080, &[ReuseAddr]).blocked_by([theirs()])).judged();
    assert_eq!(attempt.causes(), (Cause::LiveListener, &[][..]));
    assert_eq!(
        attempt.verdict().summary,
        "java[977] is bound to UDP 0.0.0.0:8080"
    );
    assert!(
        !attempt
            .verdict()
            .remedies
            .iter()
            .any(|remedy| remedy.contains("SO_REUSEADDR"))
    );
    let attempt = udp(bind("::", 8080, &[]).blocked_by([theirs()])).judged();
    assert_eq!(
        attempt.causes(),
        (Cause::DualStack, &[Cause::LiveListener][..])
    );
    let client = Blocker {
        connected_out: Some(true),
        ..blocker(Established, "10.0.0.1", 8080, &[])
    };
    let attempt = udp(bind("0.0.0.0", 8080, &[]).blocked_by([client])).judged();
    assert_eq!(attempt.causes(), (Cause::EphemeralPort, &[][..]));
}

#[rstest]
#[case(Op::Bind)]
#[case(Op::Autobind)]
fn no_port_is_free(#[case] op: Op) {
    let mut attempt = bind("0.0.0.0", 0, &[]);
    attempt.op = op;
    attempt.facts.port_range = Some([40000, 40003]);
    let attempt = attempt.judged();
    assert_eq!(attempt.causes(), (Cause::EphemeralExhausted, &[][..]));
    assert_eq!(
        attempt.verdict().summary,
        "the kernel found no port free for 0.0.0.0 in the automatic range 40000-40003 (4 ports)"
    );
}

#[test]
fn other_blockers_add_their_causes() {
    let attempt = bind("0.0.0.0", 8080, &[])
        .blocked_by([
            blocker(TimeWait, "10.0.0.1", 8080, &[ReuseAddr]),
            orphan("10.0.0.1", 8080, &[ReuseAddr]),
            listener("::", 8080, &[ReuseAddr]),
        ])
        .judged();
    let also = &[
        Cause::LiveListener,
        Cause::OrphanConnection,
        Cause::TimeWait,
    ][..];
    assert_eq!(attempt.causes(), (Cause::DualStack, also));
    // Nothing short of both takes all of them out of the way.
    let both = "stop java[977], or make it close its socket on [::]:8080, and set SO_REUSEADDR on the new \
                socket before bind()";
    assert!(
        attempt.verdict().remedies.contains(&both.to_owned()),
        "{:?}",
        attempt.verdict().remedies
    );
}

#[test]
fn nothing_found_is_nothing_guessed() {
    let allowed = listener("10.0.0.2", 8080, &[]);
    let mut attempt = bind("10.0.0.1", 8080, &[]).blocked_by([allowed]);
    let judged = attempt.clone().judged();
    assert_eq!(judged.causes(), (Cause::Unknown, &[][..]));
    assert_eq!(
        judged.verdict().summary,
        "no socket that conflicts was found when the table was walked just after the refusal"
    );
    assert_eq!(judged.verdict().confidence, Certainty::Walked);
    attempt.counts().truncated = true;
    let judged = attempt.clone().judged();
    assert!(
        judged
            .verdict()
            .summary
            .ends_with("more sockets on the port than could be looked at")
    );
    attempt.failure.as_mut().unwrap().blocker_counts = None;
    let judged = attempt.judged();
    assert_eq!(
        judged.verdict().summary,
        "the table of bound sockets could not be walked"
    );
    assert_eq!(judged.verdict().confidence, Certainty::Inferred);
}

#[test]
fn who_came_later_is_not_to_blame() {
    let later = Blocker {
        came_later: true,
        ..listener("0.0.0.0", 8080, &[])
    };
    let attempt = bind("0.0.0.0", 8080, &[]).blocked_by([later]).judged();
    assert_eq!(attempt.causes(), (Cause::Unknown, &[][..]));
    assert!(
        attempt
            .verdict()
            .summary
            .ends_with("took 0.0.0.0:8080 only after this attempt had begun")
    );
    assert!(!attempt.blockers()[0].primary);
    assert_eq!(attempt.blockers()[0].conflicts, Some(true));
}

#[test]
fn an_undecided_socket_is_not_to_blame() {
    let theirs = Blocker {
        uid: None,
        ..listener("0.0.0.0", 8080, &[ReusePort])
    };
    let attempt = bind("0.0.0.0", 8080, &[ReusePort])
        .blocked_by([theirs])
        .judged();
    assert_eq!(attempt.causes(), (Cause::Unknown, &[][..]));
    assert!(
        attempt
            .verdict()
            .summary
            .contains("hangs on the uid of that socket")
    );
    assert!(!attempt.blockers()[0].primary);
}

#[test]
fn what_was_not_read_is_not_compared() {
    let mut attempt = bind("0.0.0.0", 8080, &[]).blocked_by([listener("0.0.0.0", 8080, &[])]);
    attempt.addr = None;
    let attempt = attempt.judged();
    assert_eq!(attempt.causes(), (Cause::Unknown, &[][..]));
    assert_eq!(attempt.blockers()[0].conflicts, None);
}

#[rstest]
#[case(Proto::Unix, None)]
#[case(Proto::Sctp, Some(Cause::Unknown))]
#[case(Proto::Unknown, Some(Cause::Unknown))]
fn other_protocols(#[case] proto: Proto, #[case] expected: Option<Cause>) {
    let attempt = Attempt {
        proto,
        ..bind("0.0.0.0", 8080, &[])
    }
    .judged();
    assert_eq!(
        attempt
            .failure
            .unwrap()
            .verdict
            .map(|verdict| verdict.cause),
        expected
    );
}

#[test]
fn success_is_left_alone() {
    let attempt = Attempt {
        failure: None,
        errno: 0,
        ..bind("0.0.0.0", 8080, &[])
    };
    assert_eq!(attempt.clone().judged(), attempt);
}

#[test]
fn the_most_actionable_comes_first() {
    let nameless = Blocker {
        owner: None,
        ..blocker(TimeWait, "10.0.0.1", 8080, &[])
    };
    let attempt = bind("0.0.0.0", 8080, &[])
        .blocked_by([
            listener("0.0.0.0", 8080, &[ReusePort]),
            nameless,
            blocker(TimeWait, "10.0.0.1", 8080, &[]),
            orphan("10.0.0.1", 8080, &[]),
            connection(Established, None),
            blocker(Bound, "10.0.0.1", 8080, &[]),
            Blocker {
                came_later: true,
                ..listener("10.0.0.1", 8080, &[])
            },
            Blocker {
                device_index: 3,
                ..listener("10.0.0.1", 8080, &[])
            },
        ])
        .judged();
    let states: Vec<State> = attempt
        .blockers()
        .iter()
        .map(|blocker| blocker.state)
        .collect();
    let expected = [
        "listen",
        "listen",
        "bound",
        "established",
        "fin_wait1",
        "time_wait",
        "time_wait",
        "listen",
    ];
    assert_eq!(
        states
            .iter()
            .map(|state| state.as_str())
            .collect::<Vec<_>>(),
        expected
    );
    assert!(attempt.blockers()[5].owner.is_some() && attempt.blockers()[6].owner.is_none());
    assert!(attempt.blockers()[7].came_later);
    assert_eq!(
        attempt
            .blockers()
            .iter()
            .filter(|blocker| blocker.primary)
            .count(),
        1
    );
}

#[test]
fn hostile_names_are_made_harmless() {
    let evil = "a\n\u{1b}[2J\u{202e}";
    let theirs = Process {
        unit: Some(format!("{evil}.service")),
        ..process(evil, 66)
    };
    let attempt = bind("0.0.0.0", 8080, &[])
        .blocked_by([listener_of(theirs)])
        .judged();
    let Verdict {
        summary,
        because,
        remedies,
        would_succeed_if,
        ..
    } = attempt.verdict();
    for text in [summary, because]
        .into_iter()
        .chain(remedies)
        .chain(would_succeed_if)
    {
        assert!(
            !text.contains(|c: char| c.is_control() || c == '\u{202e}'),
            "{text:?}"
        );
    }
    assert!(summary.contains(r"\n\x1b[2J"), "{summary}");
}

#[test]
fn the_kernel_itself_is_not_told_what_to_do() {
    let theirs = Blocker {
        kernel_socket: true,
        owner: None,
        ..blocker(Bound, "0.0.0.0", 8080, &[])
    };
    let attempt = udp(bind("0.0.0.0", 8080, &[ReuseAddr]).blocked_by([theirs])).judged();
    assert_eq!(
        attempt.verdict().summary,
        "the kernel itself is bound to UDP 0.0.0.0:8080"
    );
    assert_eq!(attempt.verdict().remedies[..], [] as [&str; 0]);
}

#[test]
fn every_holder_has_to_let_go() {
    let holder = |comm, pid, fd| Holder {
        process: process(comm, pid),
        fd,
    };
    let theirs = Blocker {
        holders: vec![
            holder("nginx", 11, 6),
            holder("java", 977, 6),
            holder("nginx", 12, 6),
        ],
        ..listener("0.0.0.0", 8080, &[])
    };
    let attempt = bind("0.0.0.0", 8080, &[]).blocked_by([theirs]).judged();
    assert_eq!(
        attempt.verdict().summary,
        "java[977] (and 2 more processes) listens on 0.0.0.0:8080"
    );
    assert_eq!(
        attempt.verdict().remedies[0],
        "stop java[977], nginx[11] and nginx[12], or make them all close the socket on 0.0.0.0:8080"
    );
}
