use super::*;

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
            .contains("depends on the uid of that socket")
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
fn the_kernel_itself_is_not_told_to_close_its_socket() {
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
    assert_eq!(attempt.causes(), (Cause::KernelSocket, &[][..]));
    let [remedy] = &attempt.verdict().remedies[..] else {
        panic!("{:?}", attempt.verdict().remedies)
    };
    assert!(remedy.starts_with("take down what the kernel holds the port for"));
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
