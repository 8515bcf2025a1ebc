use super::*;

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
        "the connection 10.0.0.1:8080 <-> 10.0.0.9:51234 is in TIME_WAIT for at least 41 s more; it belonged to \
         java[977]"
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
        "the connection 10.0.0.1:8080 <-> 10.0.0.9:51234 is closed and still finishing (FIN_WAIT1); it belonged to \
         java[977]"
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

/// A client that met itself.
#[rstest]
#[case::picked(Some(false), None)]
#[case::seen(Some(false), Some(true))]
fn a_connection_to_itself(#[case] port_bound: Option<bool>, #[case] out: Option<bool>) {
    let itself = Blocker {
        remote: Some(crate::model::socket::Address {
            addr: "10.0.0.1".parse().unwrap(),
            port: 40000,
        }),
        connected_out: out,
        port_bound,
        ..blocker(Established, "10.0.0.1", 40000, &[])
    };
    let attempt = bind("0.0.0.0", 40000, &[ReuseAddr])
        .blocked_by([itself])
        .judged();
    assert_eq!(
        attempt.causes(),
        (Cause::SelfConnect, &[Cause::EphemeralPort][..])
    );
    let Verdict {
        summary, remedies, ..
    } = attempt.verdict();
    assert_eq!(
        summary,
        "java[977] has connected 10.0.0.1:40000 to itself (ESTABLISHED): connect(), whose source port the kernel \
         picked, met its own SYN, as nobody listened there"
    );
    assert!(remedies[0].starts_with("add 40000 to net.ipv4.ip_local_reserved_ports"));
    assert_eq!(
        remedies[1],
        "make java[977] connect from a fixed source port other than 40000 (bind() before connect())"
    );
    assert!(
        !remedies
            .iter()
            .any(|remedy| remedy.contains("SO_REUSEADDR"))
    );
}

#[test]
fn a_connection_to_itself_whose_port_its_program_chose() {
    let itself = Blocker {
        remote: Some(crate::model::socket::Address {
            addr: "10.0.0.1".parse().unwrap(),
            port: 40000,
        }),
        port_bound: Some(true),
        ..blocker(Established, "10.0.0.1", 40000, &[])
    };
    let attempt = bind("0.0.0.0", 40000, &[]).blocked_by([itself]).judged();
    assert_eq!(attempt.causes(), (Cause::SelfConnect, &[][..]));
    let Verdict {
        summary, remedies, ..
    } = attempt.verdict();
    assert_eq!(
        summary,
        "java[977] has connected 10.0.0.1:40000 to itself (ESTABLISHED): connect() met its own SYN, as nobody \
         listened there"
    );
    assert!(
        !remedies.iter().any(|remedy| remedy.contains("reserved")),
        "{remedies:?}"
    );
}
