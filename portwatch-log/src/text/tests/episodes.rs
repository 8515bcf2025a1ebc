use insta::assert_snapshot;

use super::*;
use portwatch_core::model::{
    attempt::Attempt,
    episode::{Episode, Outcome, Segment},
    freed::FreedHow,
    number::Big,
    verdict::{Cause, Verdict},
};
use portwatch_core::samples::{
    attempt, ended_episode, listener, of_ended, retried, time_wait, verdict,
};

/// A record so many seconds after the samples'.
fn after(seconds: u64, attempt: Attempt) -> Record {
    let record = samples::of(attempt);
    let minute = 3 + (41 + seconds) / 60;
    Record {
        time: format!("2026-11-21T12:{minute:02}:{:02}.118Z", (41 + seconds) % 60),
        boot_ns: Big(record.boot_ns.0 + seconds * 1_000_000_000),
        ..record
    }
}

fn held() -> Attempt {
    let verdict = Verdict {
        because: String::new(),
        remedies: Vec::new(),
        would_succeed_if: Vec::new(),
        ..verdict()
    };
    retried(conflict(vec![listener()], Some(verdict)), 1)
}

fn left() -> Attempt {
    let verdict = Verdict {
        cause: Cause::TimeWait,
        also: Vec::new(),
        summary: "the connection is in TIME_WAIT".to_owned(),
        because: String::new(),
        remedies: Vec::new(),
        would_succeed_if: Vec::new(),
        ..verdict()
    };
    retried(conflict(vec![time_wait()], Some(verdict)), 1)
}

#[test]
fn retries_that_fail_as_before_are_left_out() {
    let mut records: Vec<Record> = (0..120).map(|s| after(s, held())).collect();
    records.push(after(120, left()));
    records.extend((121..130).map(|s| after(s, left())));
    records.push(after(130, attempt()));
    records.push(of_ended(ended_episode()));
    assert_snapshot!(text(&records), @"
    13:03:41.118  bind   tcp   0.0.0.0:8080          node[4182] node.service           EADDRINUSE
      held by  java[977] tomcat.service  LISTEN 0.0.0.0:8080  before portwatch (process up 3 d 4 h)  exact
      command  java -jar /srv/app.jar
      cause    live-listener: java[977] listens on 0.0.0.0:8080
      also     time-wait
    13:03:50.118  bind   tcp   0.0.0.0:8080          node[4182] node.service           EADDRINUSE, 10 attempts in 9.0 s, still blocked by java[977] (live-listener)
    13:05:20.118  bind   tcp   0.0.0.0:8080          node[4182] node.service           EADDRINUSE, 100 attempts in 99 s, still blocked by java[977] (live-listener)
    13:05:41.118  bind   tcp   0.0.0.0:8080          node[4182] node.service           EADDRINUSE
      left by  python3[3977] python3.service (exited)  TIME_WAIT 10.0.0.1:8080 <-> 10.0.0.9:51234  since 13:03:22 (2 m 19 s), at least 41 s left  walked
      cause    time-wait: the connection is in TIME_WAIT
    13:05:51.118  bind   tcp   0.0.0.0:8080          node[4182] node.service           ok
      episode  blocked 61 s: 12 s by python3[3977] (live-listener), 49 s by a TIME_WAIT of python3[3977]; freed when the TIME_WAIT was over at 13:03:41; 62 attempts
    ");
}

#[test]
fn every_attempt_is_shown_to_who_asks_for_it() {
    let records: Vec<Record> = (0..3).map(|s| after(s, held())).collect();
    let mut out = Vec::new();
    let mut every = Text::new(Theme::plain(), zone()).with_every_attempt();
    for record in &records {
        every.record(record, &mut out).unwrap();
    }
    let out = String::from_utf8(out).unwrap();
    assert_eq!(out.matches("held by").count(), 3);
    assert_eq!(text(&records).matches("held by").count(), 1);
}

#[test]
fn episodes_are_told_apart_and_a_new_one_begins_in_full() {
    let of = |episode| samples::of(retried(held(), episode));
    let ended = |id| {
        of_ended(Episode {
            id,
            ..ended_episode()
        })
    };
    let in_full = |records: &[Record]| text(records).matches("held by").count();
    assert_eq!(in_full(&[of(1), of(2), of(1), of(2)]), 2);
    assert_eq!(in_full(&[of(1), of(1), ended(1), of(1)]), 2);
    // Without the number of an episode nothing is left out.
    let alone = samples::of(conflict(vec![listener()], Some(verdict())));
    assert_eq!(in_full(&[alone.clone(), alone]), 2);
    // Another holder with the same cause.
    let mut other = held();
    let blockers = &mut other.failure.as_mut().unwrap().blockers;
    blockers[0].owner.as_mut().unwrap().process.pid = 978;
    let other = samples::of(other);
    assert_eq!(in_full(&[of(1), other.clone(), of(1), of(1)]), 3);
}

#[test]
fn what_was_not_written_is_shown_again() {
    let mut out = Vec::new();
    let mut text = Text::new(Theme::plain(), zone());
    text.record(&samples::of(held()), &mut out).unwrap();
    out.clear();
    text.forget();
    text.record(&samples::of(held()), &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap().lines().count(), 6);
}

#[test]
fn how_episodes_end() {
    let spell_of = |cause, owner: bool| {
        let spell = ended_episode().by.remove(0);
        vec![Segment {
            cause,
            owner: spell.owner.filter(|_| owner),
            ..spell
        }]
    };
    let freed = |how, owner: bool| {
        ended_episode()
            .freed_by
            .map(|freed| portwatch_core::model::freed::Freed {
                how,
                owner: freed.owner.filter(|_| owner),
                ..freed
            })
    };
    let ended = |how, owner| Episode {
        by: spell_of(Some(Cause::LiveListener), owner),
        freed_by: freed(how, owner),
        ..ended_episode()
    };
    let gave_up = Episode {
        outcome: Outcome::GaveUp,
        freed_by: None,
        ..ended_episode()
    };
    let once = Episode {
        attempts: 1,
        ..gave_up.clone()
    };
    let many = Episode {
        by: [
            ended_episode().by,
            ended_episode().by,
            ended_episode().by,
            ended_episode().by,
        ]
        .concat(),
        by_omitted: 40,
        ..gave_up.clone()
    };
    let all = [
        ended(FreedHow::Exited, true),
        ended(FreedHow::Closed, true),
        ended(FreedHow::Closed, false),
        Episode {
            by: spell_of(Some(Cause::AddressNotLocal), false),
            freed_by: None,
            ..ended_episode()
        },
        Episode {
            by: spell_of(None, false),
            freed_by: None,
            ..ended_episode()
        },
        Episode {
            processes: 3,
            ..gave_up.clone()
        },
        Episode {
            outcome: Outcome::Open,
            ..gave_up.clone()
        },
        once.clone(),
        Episode {
            outcome: Outcome::Open,
            ..once
        },
        many,
    ];
    assert_snapshot!(text(&all.map(of_ended)), @"
      episode  blocked 61 s by python3[3977] (live-listener); freed when python3[3977] ended at 13:03:41; 62 attempts
      episode  blocked 61 s by python3[3977] (live-listener); freed when the socket of python3[3977] was closed at 13:03:41; 62 attempts
      episode  blocked 61 s (live-listener); freed when the socket was closed at 13:03:41; 62 attempts
      episode  blocked 61 s (address-not-local); 62 attempts
      episode  blocked 61 s (no verdict); 62 attempts
    13:03:41.118  episode tcp  0.0.0.0:8080          node[4182] node.service  gave up after 62 attempts of 3 processes in 61 s, blocked: 12 s by python3[3977] (live-listener), 49 s by a TIME_WAIT of python3[3977]
    13:03:41.118  episode tcp  0.0.0.0:8080          node[4182] node.service  not seen to succeed: 62 attempts in 61 s, blocked: 12 s by python3[3977] (live-listener), 49 s by a TIME_WAIT of python3[3977]
    13:03:41.118  episode tcp  0.0.0.0:8080          node[4182] node.service  gave up after 62 attempts in 61 s, blocked: 12 s by python3[3977] (live-listener), 49 s by a TIME_WAIT of python3[3977], 12 s by python3[3977] (live-listener), 49 s by a TIME_WAIT of python3[3977], 12 s by python3[3977] (live-listener), 49 s by a TIME_WAIT of python3[3977] and 42 more
    ");
}

#[test]
fn hostile_names_cannot_forge_episodes() {
    let hostile = "a\n12:00:00 ok\x1b[2J\u{202e}]";
    let mut bad = held();
    for blocker in &mut bad.failure.as_mut().unwrap().blockers {
        hostile.clone_into(&mut blocker.owner.as_mut().unwrap().process.comm);
        blocker.holders.clear();
    }
    let mut told = ended_episode();
    for owner in told.by.iter_mut().filter_map(|spell| spell.owner.as_mut()) {
        hostile.clone_into(&mut owner.comm);
    }
    hostile.clone_into(&mut told.process.comm);
    told.addr = Some(hostile.to_owned());
    let freed = told.freed_by.as_mut().unwrap();
    hostile.clone_into(&mut freed.time);
    hostile.clone_into(&mut freed.owner.as_mut().unwrap().comm);
    freed.how = FreedHow::Exited;
    let gave_up = Episode {
        outcome: Outcome::GaveUp,
        ..told.clone()
    };
    let mut records: Vec<Record> = (0..10).map(|s| after(s, bad.clone())).collect();
    records.extend([of_ended(told), of_ended(gave_up)]);
    let text = text(&records);
    let unsafe_left = |c: char| c != '\n' && portwatch_core::words::escape::is_unsafe(c);
    assert!(!text.contains(unsafe_left), "{text}");
    assert_eq!(text.lines().count(), 8, "{text}");
}
