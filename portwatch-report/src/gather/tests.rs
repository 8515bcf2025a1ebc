use super::{
    super::{
        lane::{End, Kind},
        samples::{found, gather, lines, log, ns, text},
        time,
    },
    *,
};
use portwatch_core::model::{
    port::{Action, Port},
    process::Holder,
    record::{Body, Record},
    socket::{Proto, State},
    unix::{FileKind, UnixName, UnixSocket},
    verdict::Cause,
};
use portwatch_core::samples;

mod runs;

/// Holds as (kind, from, until) in seconds.
fn holds(found: &Gather) -> Vec<(Kind, i64, i64)> {
    let seconds = |time| (time - ns(0)) / 1_000_000_000;
    let holds = found.lanes[0].1.holds.iter();
    holds
        .map(|hold| (hold.kind, seconds(hold.start), seconds(hold.end)))
        .collect()
}

#[test]
fn who_had_the_port_when() {
    let found = found();
    assert_eq!(found.lanes.len(), 1);
    assert_eq!(
        holds(&found),
        [
            (Kind::Bound, 10, 12),
            (Kind::Listening, 12, 41),
            (Kind::Connection, 15, 40),
            (Kind::TimeWait, 40, 100),
        ]
    );
    let lane = &found.lanes[0].1;
    assert!(
        lane.holds
            .iter()
            .all(|hold| hold.begun && hold.ended == End::Seen)
    );
    assert_eq!((lane.attempts, lane.failures), (6, 4));
    let blocked: Vec<_> = lane
        .marks
        .iter()
        .filter_map(|mark| mark.blocker)
        .map(|(kind, _)| kind)
        .collect();
    assert_eq!(
        blocked,
        [
            Kind::Listening,
            Kind::Listening,
            Kind::TimeWait,
            Kind::TimeWait
        ]
    );
}

/// Without programs on its functions the kernel tells a socket's cookie only when the port is released.
#[test]
fn a_socket_without_a_cookie_gives_its_port_back() {
    let mut records = log();
    let mut made = 0;
    for record in &mut records {
        match &mut record.body {
            // The samples are not of one socket.
            Body::Port(port) if port.remote.is_none() => {
                port.local = samples::address("0.0.0.0", 8080);
                if port.action == Action::Taken {
                    port.cookie = None;
                    made += 1;
                }
            }
            Body::Attempt(attempt) => {
                attempt.socket.cookie = None;
                for blocker in attempt
                    .failure
                    .iter_mut()
                    .flat_map(|failure| &mut failure.blockers)
                {
                    blocker.cookie = blocker.cookie.filter(|_| blocker.remote.is_some());
                }
            }
            _ => {}
        }
    }
    assert_eq!(made, 1);
    assert_eq!(
        holds(&gather(vec![lines(&records)], Wanted::default())),
        holds(&found())
    );
}

/// Without any record of ports: from blockers alone.
#[test]
fn a_socket_in_the_way_had_the_port() {
    let records: Vec<Record> = log()
        .into_iter()
        .filter(|record| !matches!(record.body, Body::Port(_) | Body::TimeWait(_)))
        .collect();
    let found = gather(vec![lines(&records)], Wanted::default());
    // The listener is older than what was seen of it. The TIME_WAIT was seen at 50 first, and its timer was due 41.9 s after
    // it was seen last.
    assert_eq!(
        holds(&found),
        [(Kind::Listening, 0, 120), (Kind::TimeWait, 50, 101)]
    );
    let lane = &found.lanes[0].1;
    assert_eq!(
        lane.holds
            .iter()
            .map(|hold| (hold.begun, hold.ended))
            .collect::<Vec<_>>(),
        [(false, End::Open), (false, End::Due)]
    );
}

/// The blocker had no cookie yet; when it is released it has one.
#[test]
fn a_socket_is_the_same_when_it_is_given_a_cookie() {
    let mut records = log();
    for record in &mut records {
        if let Body::Attempt(attempt) = &mut record.body
            && let Some(failure) = &mut attempt.failure
        {
            failure.blockers[0].cookie = None;
            failure.blockers[0].local = samples::taken().local;
        }
    }
    let watched_in_part = |record: &Record| match &record.body {
        Body::Port(port) => port.action == Action::Released && port.remote.is_none(),
        Body::TimeWait(_) => false,
        _ => true,
    };
    records.retain(watched_in_part);
    let found = gather(vec![lines(&records)], Wanted::default());
    let listener = (Kind::Listening, 0, 41);
    assert_eq!(holds(&found), [listener, (Kind::TimeWait, 50, 101)]);
}

/// The end of such a connection need not be reported.
#[test]
fn a_connection_in_the_way_is_known_until_it_was_seen_last() {
    let mut records = log();
    records.retain(|record| !matches!(record.body, Body::Port(_) | Body::TimeWait(_)));
    for record in &mut records {
        if let Body::Attempt(attempt) = &mut record.body
            && let Some(failure) = &mut attempt.failure
        {
            failure.blockers[0].state = State::Established;
        }
    }
    let found = gather(vec![lines(&records)], Wanted::default());
    let holds = &found.lanes[0].1.holds;
    let told: Vec<_> = holds.iter().map(|hold| (hold.begun, hold.ended)).collect();
    assert_eq!(told, [(false, End::Interrupted); 2]);
    // Its owner was found when tracing began.
    let known = [(Kind::Connection, 0, 30), (Kind::Connection, 50, 60)];
    assert_eq!(self::holds(&found), known);
}

#[test]
fn a_unix_name_has_a_holder() {
    let server = samples::process("gunicorn", 77);
    let mut failed = samples::conflict(Vec::new(), Some(samples::verdict()));
    failed.proto = Proto::Unix;
    failed.addr = Some("/run/app.sock".to_owned());
    (failed.port, failed.bound_port) = (None, None);
    if let Some(failure) = &mut failed.failure {
        failure.unix = Some(UnixName {
            is_abstract: false,
            file: Some(FileKind::Socket),
            served: Some(true),
            sockets: vec![UnixSocket {
                listening: true,
                inode: 5,
                holders: vec![Holder {
                    process: server,
                    fd: 3,
                }],
            }],
        });
    }
    let mut records = log();
    records.truncate(3);
    for record in &mut records[1..] {
        record.body = Body::Attempt(Box::new(failed.clone()));
    }
    let found = gather(vec![lines(&records)], Wanted::default());
    let (place, lane) = &found.lanes[0];
    assert_eq!(found.names.text(place.path), "/run/app.sock");
    let [hold] = lane.holds[..] else {
        panic!("{:?}", lane.holds)
    };
    let who = found.names.process(hold.who).unwrap();
    assert_eq!((hold.kind, who.pid), (Kind::Listening, 77));
    // From when it was seen first to when it was seen last.
    assert_eq!((hold.begun, hold.ended), (false, End::Interrupted));
    assert_eq!(
        hold.end - hold.start,
        lane.marks[1].time - lane.marks[0].time
    );
    assert_eq!(lane.marks[0].blocker, Some((Kind::Listening, hold.who)));
}

/// Of a port that is watched in part, the first record may be that it is free again.
#[test]
fn a_release_says_since_when_the_port_was_held() {
    let released = |since: Option<i64>| {
        let port = Port {
            remote: None,
            since: since.map(text),
            ..samples::released()
        };
        let mut records = log();
        records.retain(|record| {
            !matches!(
                record.body,
                Body::Port(_) | Body::TimeWait(_) | Body::Attempt(_)
            )
        });
        records[1].body = Body::Port(Box::new(port));
        (
            gather(vec![lines(&records)], Wanted::default()),
            records[1].time.clone(),
        )
    };
    let (found, _) = released(Some(3));
    assert_eq!(holds(&found)[0].1, 3);
    let (found, time) = released(None);
    let hold = found.lanes[0].1.holds[0];
    assert_eq!((hold.start, hold.begun), (hold.end, false), "{time}");
}

#[test]
fn totals_and_episodes() {
    let found = found();
    assert_eq!(
        found.total,
        Count {
            attempts: 6,
            failures: 4
        }
    );
    let causes = found.causes.worst();
    assert_eq!(
        causes
            .iter()
            .map(|(cause, count)| (cause.unwrap(), count.failures))
            .collect::<Vec<_>>(),
        [(Cause::LiveListener, 2), (Cause::TimeWait, 2)]
    );
    let programs: Vec<_> = found
        .programs
        .worst()
        .into_iter()
        .map(|(name, count)| {
            (
                found.names.text(name).to_owned(),
                count.failures,
                count.attempts,
            )
        })
        .collect();
    assert_eq!(programs, [("node".to_owned(), 4, 5)]);
    assert_eq!(found.episodes.count, 1);
    let (blocker, blame) = found.episodes.worst_blockers()[0];
    assert_eq!(found.names.text(blocker.comm), "python3");
    assert_eq!(
        (blame.failures, blame.ms, &blame.ports[..]),
        (4, 80_000, &[8080][..])
    );
}

#[test]
fn an_episode_that_the_log_does_not_end_is_told_from_its_attempts() {
    let mut records = log();
    records.truncate(11);
    let found = gather(vec![lines(&records)], Wanted::default());
    let episodes = found.episodes.in_order();
    assert_eq!(episodes.len(), 1);
    assert_eq!(
        (
            episodes[0].attempts,
            episodes[0].outcome,
            episodes[0].blocked_ms
        ),
        (4, None, 40_000)
    );
    assert_eq!(
        episodes[0]
            .by
            .iter()
            .map(|spell| (spell.cause, spell.attempts, spell.ms))
            .collect::<Vec<_>>(),
        [
            (Some(Cause::LiveListener), 2, 30_000),
            (Some(Cause::TimeWait), 2, 10_000)
        ]
    );
}

#[test]
fn only_what_is_wanted() {
    let of = |wanted| gather(vec![lines(&log())], wanted);
    let other = of(Wanted {
        ports: vec![PortRange {
            first: 1,
            last: 8079,
        }],
        ..Wanted::default()
    });
    assert_eq!(
        (
            other.total.attempts,
            other.lanes.len(),
            other.episodes.count
        ),
        (0, 0, 0)
    );
    let time_waits = of(Wanted {
        causes: vec![Cause::TimeWait],
        ..Wanted::default()
    });
    assert_eq!(
        time_waits.total,
        Count {
            attempts: 2,
            failures: 2
        }
    );
    assert_eq!(
        holds(&time_waits).len(),
        4,
        "the port's owner is known all the same"
    );
    let early = of(Wanted {
        since: Some(ns(25)),
        until: Some(ns(45)),
        ..Wanted::default()
    });
    assert_eq!(
        early.total,
        Count {
            attempts: 1,
            failures: 1
        }
    );
    assert_eq!(
        holds(&early),
        [
            (Kind::Listening, 25, 41),
            (Kind::Connection, 25, 40),
            (Kind::TimeWait, 40, 41)
        ]
    );
}

#[test]
fn what_is_kept_has_an_end_and_every_attempt_counts() {
    let records = log();
    let mut found = Gather::new(Wanted::default());
    let start = lines(&records[..1]);
    found.line(&Line::parse(&start).unwrap(), false);
    let failure = lines(&records[4..5]);
    let failure = Line::parse(&failure).unwrap();
    let count = 5 * ITEMS as i64;
    for index in 0..count {
        let line = Line {
            time: ns(0) + index * 7_000_000,
            ..failure.clone()
        };
        found.line(&line, false);
        assert!(found.lanes[0].1.items() <= 2 * ITEMS + 1);
    }
    found.finish();
    let lane = &found.lanes[0].1;
    assert!(lane.items() <= ITEMS);
    assert!(found.grain() > 0);
    let attempts: u64 = lane.marks.iter().map(|mark| u64::from(mark.count)).sum();
    assert_eq!(attempts, count as u64);
    assert!(
        lane.marks
            .iter()
            .all(|mark| mark.last - mark.time < found.grain() && mark.cause.is_some())
    );
}
