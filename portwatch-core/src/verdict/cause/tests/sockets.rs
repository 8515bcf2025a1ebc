use super::*;

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
        "a listening port can be shared only if both sockets set SO_REUSEPORT (here: neither)"
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
    let own = listen(&[ReuseAddr]).blocked_by([listener_of(process("node", 4182))]);
    let own = own.judged();
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
        port_bound: Some(false),
        ..blocker(Established, "10.0.0.1", 8080, &[])
    };
    let attempt = udp(bind("0.0.0.0", 8080, &[]).blocked_by([client])).judged();
    assert_eq!(attempt.causes(), (Cause::EphemeralPort, &[][..]));
}
