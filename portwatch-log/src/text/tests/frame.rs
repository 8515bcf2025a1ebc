use insta::assert_snapshot;

use super::*;
use portwatch_core::model::{
    process::{Container, Holder},
    socket::Proto,
    verdict::Verdict,
};
use portwatch_core::samples::{attempt, listener, other, time_wait, verdict};

#[test]
fn hostile_names_cannot_forge_lines() {
    let hostile = "a\n12:00:00 ok\x1b[2J\u{202e}]";
    let process = |pid| Process {
        comm: hostile.to_owned(),
        unit: Some(hostile.to_owned()),
        container: Some(Container {
            id: hostile.to_owned(),
            runtime: Some(hostile.to_owned()),
            pod: None,
        }),
        cmdline: Some(vec![hostile.to_owned(), hostile.to_owned()]),
        ..samples::process("x", pid)
    };
    let blocker = Blocker {
        device: Some(hostile.to_owned()),
        since: Some(hostile.to_owned()),
        holders: vec![Holder {
            process: process(8),
            fd: 3,
        }],
        ..owned(listener(), process(7), Some(true), Source::Observed)
    };
    let verdict = Verdict {
        summary: hostile.to_owned(),
        because: hostile.repeat(2),
        remedies: vec![hostile.to_owned()],
        would_succeed_if: vec![hostile.to_owned()],
        ..verdict()
    };
    let failed = Attempt {
        addr: Some(hostile.to_owned()),
        device: Some(hostile.to_owned()),
        result: hostile.to_owned(),
        process: process(6),
        ..conflict(vec![blocker], Some(verdict))
    };
    let unix = Attempt {
        proto: Proto::Unix,
        addr: Some(hostile.to_owned()),
        ..attempt()
    };
    let lost = Lost {
        kind: hostile.to_owned(),
        count: 1,
        from: hostile.to_owned(),
        to: hostile.to_owned(),
    };
    let mut records = [failed, unix].map(samples::of).to_vec();
    records.push(samples::record(3, Body::Lost(lost)));
    let mut taken = samples::taken();
    let mut entered = samples::entered();
    for owner in [&mut taken.owner, &mut entered.owner] {
        owner.as_mut().unwrap().process = process(9);
    }
    records.push(samples::of_port(taken));
    records.push(samples::of_time_wait(entered));
    for record in &mut records {
        hostile.clone_into(&mut record.time);
    }
    let text = whole(Theme::plain(), &records);
    let unsafe_left = |c: char| c != '\n' && portwatch_core::words::escape::is_unsafe(c);
    assert!(!text.contains(unsafe_left), "{text}");
    assert_eq!(text.lines().count(), 13, "{text}");
}

#[test]
fn the_frame_of_a_log() {
    let mut next_day = samples::of(attempt());
    "2026-11-22T00:00:00.000000000Z".clone_into(&mut next_day.time);
    let records = [
        samples::start(),
        samples::of(attempt()),
        samples::lost("attempt"),
        samples::lost("output"),
        samples::lost("entry"),
        samples::lost("port"),
        next_day.clone(),
        samples::stop(),
    ];
    assert_snapshot!(whole(Theme::plain(), &records), @"
    -- 2026-11-21 13:03:41 +01:00, web1, Linux 6.12.48-cloud-amd64 x86_64, portwatch 0.1.0 --
    13:03:41.118  bind   tcp   0.0.0.0:8080          node[4182] node.service           ok
    13:03:41.118  lost   37 attempts, between 13:03:39 and 13:03:41
    13:03:41.118  lost   37 records that could not be written, between 13:03:39 and 13:03:41
    13:03:41.118  lost   37 addresses that attempts asked for, between 13:03:39 and 13:03:41
    13:03:41.118  lost   37 records of ports and TIME_WAITs, between 13:03:39 and 13:03:41
    -- 2026-11-22 +01:00 --
    01:00:00.000  bind   tcp   0.0.0.0:8080          node[4182] node.service           ok
    -- 2026-11-21 +01:00 --
    -- 13:03:41.118 stopped: 120 attempts seen, 2 filtered out, 37 lost; failed: 2 live-listener, 1 time-wait (`portwatch explain ID` says more of each); forgotten to make room: 3 sockets --
    ");
    // The beginning may be missing: the date is shown all the same.
    assert_snapshot!(whole(Theme::plain(), &[next_day.clone(), next_day]), @"
    -- 2026-11-22 +01:00 --
    01:00:00.000  bind   tcp   0.0.0.0:8080          node[4182] node.service           ok
    01:00:00.000  bind   tcp   0.0.0.0:8080          node[4182] node.service           ok
    ");
}

#[test]
fn the_last_line_has_what_there_is() {
    let stop = samples::record(
        9,
        Body::Stop(Stop {
            seen: 1,
            missed: Some(1),
            ..Stop::default()
        }),
    );
    assert_snapshot!(text(&[stop]), @"-- 13:03:41.118 stopped: 1 attempt seen, 1 run of a hook skipped by the kernel --");
}

#[test]
fn colours_change_nothing_but_the_colour() {
    let records = [
        samples::start(),
        samples::of(attempt()),
        samples::of(conflict(
            vec![listener(), other(time_wait())],
            Some(verdict()),
        )),
        samples::of_port(samples::taken()),
        samples::of_port(samples::released()),
        samples::of_time_wait(samples::entered()),
        samples::lost("attempt"),
        samples::stop(),
    ];
    let coloured = whole(Theme::coloured(), &records);
    assert!(coloured.contains("\x1b["));
    assert_eq!(
        anstream::adapter::strip_str(&coloured).to_string(),
        whole(Theme::plain(), &records)
    );
}
