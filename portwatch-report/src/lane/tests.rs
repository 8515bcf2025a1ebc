use super::*;

const MS: i64 = 1 << 20;

fn hold(kind: Kind, start: i64, end: i64, who: u32) -> Hold {
    Hold {
        kind,
        start: start * MS,
        end: end * MS,
        begun: true,
        ended: End::Seen,
        who: Actor(who),
        local: Name(1),
        remote: Name(2),
        count: 1,
        busy: (end - start) * MS,
    }
}

#[test]
fn connections_are_joined_listeners_of_two_processes_are_not() {
    let mut lane = Lane {
        holds: vec![
            hold(Kind::Connection, 0, 1, 7),
            hold(Kind::Connection, 1, 2, 8),
            hold(Kind::Connection, 900, 901, 8),
            hold(Kind::Listening, 0, 1, 7),
            hold(Kind::Listening, 2, 3, 8),
        ],
        ..Lane::default()
    };
    lane.join(MS.ilog2() + 4, false);
    let rows: Vec<_> = lane
        .holds
        .iter()
        .map(|hold| (hold.kind, hold.count, hold.who.0, hold.busy / MS))
        .collect();
    assert_eq!(
        rows,
        [
            (Kind::Listening, 1, 7, 1),
            (Kind::Listening, 1, 8, 1),
            (Kind::Connection, 2, 0, 2),
            (Kind::Connection, 1, 8, 1),
        ]
    );
    lane.join(MS.ilog2() + 4, true);
    assert_eq!(lane.holds[0].count, 2, "but if there is no other way");
}

#[test]
fn the_main_cause_is_the_most_frequent() {
    let mut lane = Lane::default();
    assert_eq!(lane.main_cause(), None);
    for cause in [
        None,
        Some(Cause::TimeWait),
        Some(Cause::Policy),
        Some(Cause::Policy),
    ] {
        lane.count(1, true, cause);
    }
    lane.count(2, false, None);
    assert_eq!(lane.main_cause(), Some(Cause::Policy));
    assert_eq!(
        (lane.attempts, lane.failures, lane.span),
        (5, 4, Some((1, 2)))
    );
}
