use insta::assert_snapshot;

use super::{
    super::{
        gather::Wanted,
        markdown,
        samples::{found, gather, lines, log},
    },
    *,
};
use portwatch_core::model::{port::Action, record::Body};

fn look(symbols: Symbols, width: usize) -> Look {
    Look {
        theme: Theme::plain(),
        zone: TimeZone::UTC,
        width,
        symbols,
        top: 10,
    }
}

fn shown(found: &Gather, look: &Look) -> String {
    let mut out = Vec::new();
    write(found, &Summary::new(found, look.top), look, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_report() {
    assert_snapshot!(shown(&found(), &look(Symbols::UNICODE, 60)), @r#"
    -- web1, 2026-11-21 12:00:00 to 12:02:00, 16 records --
    4 of 6 attempts failed, on 1 port.

    By cause
             2  live-listener
             2  time-wait

    By port
             4  tcp 8080  live-listener, of 6 attempts

    By program
             4  node

    By unit
             4  node.service

    Worst blockers
             4  python3 python3.service, blocked others for 80 s, port 8080

    Episodes
      12:00:20  node[4182] node.service  tcp 0.0.0.0:8080  5 attempts in 80 s, then it got it
                    30 s  python3[3977] (live-listener)
                    50 s  python3[3977] (time-wait)

    Timelines
             12:00:00 ───────────────────────────────── 12:02:00
    tcp 8080  4 attempts failed, live-listener
      held   ····▓█████████████░░░░░░░░░░░░░░░░░░░░░░░░░········
      tried       ✓  ✗   ✗        ✗   ✗                ✓
    █ listening  ▓ bound  ▒ connection  ░ TIME_WAIT
    · nobody seen  ✗ failed  2-9 + several failed  ✓ got it

    Missing
            37  attempt records, between 2026-11-21T12:03:39Z and 2026-11-21T12:03:41Z
    "#);
}

#[test]
fn who_waited_for_no_time_is_not_among_the_longest() {
    let long = log();
    let mut short = long.clone();
    for record in &mut short {
        if let Body::Episode(episode) = &mut record.body {
            episode.blocked_ms = 0;
        }
    }
    let of = |log| Summary::new(&gather(vec![lines(log)], Wanted::default()), 10);
    let summary = of(&short);
    assert_eq!(
        (summary.longest_blocked, summary.episodes.len()),
        (vec![], 1)
    );
    assert_eq!(of(&long).longest_blocked.len(), 1);
}

#[test]
fn a_report_without_utf_8() {
    let text = shown(&found(), &look(Symbols::ASCII, 60));
    assert!(text.is_ascii(), "{text}");
    let (_, picture) = text.split_once("Timelines\n").unwrap();
    let (picture, _) = picture.split_once("\n\n").unwrap();
    assert_snapshot!(picture, @r#"
             12:00:00 --------------------------------- 12:02:00
    tcp 8080  4 attempts failed, live-listener
      held   ....=#############:::::::::::::::::::::::::........
      tried       o  x   x        x   x                o
    # listening  = bound  - connection  : TIME_WAIT
    . nobody seen  x failed  2-9 + several failed  o got it
    "#);
}

#[test]
fn lanes_fit_the_width() {
    for width in 30..140 {
        let text = shown(&found(), &look(Symbols::UNICODE, width));
        let (_, picture) = text.split_once("Timelines\n").unwrap();
        let (picture, _) = picture.split_once("\n\n").unwrap();
        let lanes = picture
            .lines()
            .filter(|line| line.starts_with("  "))
            .count();
        assert_eq!(lanes, 3, "the axis and two rows");
        for line in picture.lines().filter(|line| line.starts_with("  ")) {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
    }
}

#[test]
fn colours_end_where_they_begin() {
    let coloured = Look {
        theme: Theme::coloured(),
        ..look(Symbols::UNICODE, 60)
    };
    let text = shown(&found(), &coloured);
    let plain = anstream::adapter::strip_str(&text).to_string();
    assert_eq!(plain, shown(&found(), &look(Symbols::UNICODE, 60)));
    for line in text.lines() {
        let open = line.matches("\x1b[").count();
        assert!(open == 0 || line.trim_end().contains("\x1b[0m"), "{line:?}");
    }
}

#[test]
fn nothing_failed_and_nothing_there() {
    let empty = gather(Vec::new(), Wanted::default());
    assert_snapshot!(shown(&empty, &look(Symbols::UNICODE, 60)), @r#"
    -- an unknown host, no records --
    No attempt failed (0 attempts).
    "#);
    let quiet = gather(vec![lines(&log()[..4])], Wanted::default());
    assert_snapshot!(shown(&quiet, &look(Symbols::UNICODE, 60)), @r#"
    -- web1, 2026-11-21 12:00:00 to 12:00:15, 4 records --
    No attempt failed (1 attempt).
    "#);
}

#[test]
fn as_markdown() {
    let found = found();
    let mut out = Vec::new();
    markdown::write(&Summary::new(&found, 10), 10, &mut out).unwrap();
    assert_snapshot!(String::from_utf8(out).unwrap(), @r#"
    # Ports: web1

    2026-11-21T12:00:00Z to 2026-11-21T12:02:00Z, 16 records.
    4 of 6 attempts failed.

    ## By cause

    | Cause | Failures |
    |---|---|
    | `live-listener` | 2 |
    | `time-wait` | 2 |

    ## By port

    | Port | Failures | Attempts | Mostly |
    |---|---|---|---|
    | tcp 8080 | 4 | 6 | `live-listener` |

    ## By program

    | Name | Failures | Attempts |
    |---|---|---|
    | node | 4 | 5 |

    ## By unit

    | Name | Failures | Attempts |
    |---|---|---|
    | node.service | 4 | 5 |

    ## Worst blockers

    | Who | Failures | Blocked others for | Ports |
    |---|---|---|---|
    | python3 python3.service | 4 | 80 s | 8080 |

    ## Longest blocked

    | Who | Where | Blocked | Attempts | Since | Blocked by | End |
    |---|---|---|---|---|---|---|
    | node\[4182\] node.service | tcp 0.0.0.0&#58;8080 | 80 s | 5 | 2026-11-21T12:00:20Z | python3\[3977\] \(live-listener\) 30 s, python3\[3977\] \(time-wait\) 50 s | got it |

    ## Most retried

    | Who | Where | Blocked | Attempts | Since | Blocked by | End |
    |---|---|---|---|---|---|---|
    | node\[4182\] node.service | tcp 0.0.0.0&#58;8080 | 80 s | 5 | 2026-11-21T12:00:20Z | python3\[3977\] \(live-listener\) 30 s, python3\[3977\] \(time-wait\) 50 s | got it |

    ## Episodes

    | Who | Where | Blocked | Attempts | Since | Blocked by | End |
    |---|---|---|---|---|---|---|
    | node\[4182\] node.service | tcp 0.0.0.0&#58;8080 | 80 s | 5 | 2026-11-21T12:00:20Z | python3\[3977\] \(live-listener\) 30 s, python3\[3977\] \(time-wait\) 50 s | got it |

    ## Missing

    | What | How many | Not before | Not after |
    |---|---|---|---|
    | attempt | 37 | 2026-11-21T12&#58;03&#58;39Z | 2026-11-21T12&#58;03&#58;41Z |
    "#);
}

/// Lost records are not silence, and of the time between two runs nothing is known.
#[test]
fn what_is_not_known_looks_so() {
    let mut records = log();
    for record in &mut records {
        if let Body::Lost(lost) = &mut record.body {
            "2026-11-21T12:00:20Z".clone_into(&mut lost.from);
            "2026-11-21T12:00:29Z".clone_into(&mut lost.to);
        }
    }
    // Nobody saw the listener go, and records were lost before.
    records.retain(|record| !matches!(&record.body, Body::Port(port) if port.remote.is_none() && port.action == Action::Released));
    let first = lines(&records);
    let again = lines(&log()).replace("2026-11-21T12:", "2026-11-21T14:");
    let found = gather(vec![first, again], Wanted::default());
    let text = shown(&found, &look(Symbols::UNICODE, 100));
    let (_, picture) = text.split_once("Timelines\n").unwrap();
    let (picture, _) = picture.split_once("\n\n").unwrap();
    assert_snapshot!(picture, @r#"
             12:00:00 ─────────────────────────────────── 14:00:00 ──────────────────────────── 14:02:00
    tcp 8080  8 attempts failed, live-listener
      held   ···▓████▒▒▒▒▒▒▒░░░░░░░░░░░░░░░░░░░░░░???????? ┊···▓████████████░░░░░░░░░░░░░░░░░░░░░·······
      tried      ✓  ✗///✗      ✗   ✗             ✓       ┊ ┊    ✓  ✗  ✗       ✗  ✗              ✓
    █ listening  ▓ bound  ▒ connection  ░ TIME_WAIT  · nobody seen  ✗ failed  2-9 + several failed
    ✓ got it  / records lost  ┊ ┊ not traced  ? may be over
    "#);
}
