//! A small log that the tests of the report share.

use super::{
    gather::{Gather, Wanted},
    read::{self, Log},
};
use portwatch_core::model::{
    attempt::{Attempt, Failure, Op, SocketId},
    episode::{Episode, Outcome, Segment},
    freed::{Freed, FreedHow},
    number::Big,
    port::{self, Port},
    process::Process,
    record::{Body, Record},
    socket::Proto,
    time_wait::{Reason, TimeWait},
    verdict::{Cause, Verdict},
};
use portwatch_core::samples;
use portwatch_log::{input::Open, json};

/// When it begins: 2026-11-21 12:00:00 UTC, in seconds since 1970.
pub(super) const BEGIN: i64 = 1_795_262_400;

/// The time of a record that is so many seconds into the log.
pub(super) fn ns(seconds: i64) -> i64 {
    (BEGIN + seconds) * 1_000_000_000
}

pub(super) fn text(seconds: i64) -> String {
    format!(
        "2026-11-21T12:{:02}:{:02}.000000000Z",
        seconds / 60,
        seconds % 60
    )
}

fn socket(cookie: u64) -> SocketId {
    SocketId {
        cookie: Some(Big(cookie)),
        ..samples::attempt().socket
    }
}

/// python3 serves port 8080 from second 10 to 40; node tries at 20, 30, 50 and 60, and gets it at 100: the connection of
/// python3 leaves a `TIME_WAIT` from 40 to 100.
#[expect(clippy::too_many_lines, reason = "a list")]
pub(super) fn log() -> Vec<Record> {
    let python = samples::process("python3", 3977);
    let node = samples::process("node", 4182);
    let fail = |process: &Process, by| {
        let (blocker, cause) = match by {
            Cause::TimeWait => (samples::time_wait(), Cause::TimeWait),
            cause => (samples::listener(), cause),
        };
        let blocker = portwatch_core::model::attempt::Blocker {
            cookie: Some(Big(if cause == Cause::TimeWait { 4100 } else { 4099 })),
            since: None,
            owner: blocker
                .owner
                .map(|owner| portwatch_core::model::process::Owner {
                    process: python.clone(),
                    ..owner
                }),
            holders: Vec::new(),
            ..blocker
        };
        let attempt = samples::conflict(
            vec![blocker],
            Some(Verdict {
                cause,
                ..samples::verdict()
            }),
        );
        Attempt {
            process: process.clone(),
            failure: attempt.failure.map(|failure| Failure {
                episode: Some(5),
                ..failure
            }),
            ..attempt
        }
    };
    let listens = Attempt {
        op: Op::Listen,
        process: python.clone(),
        socket: socket(4099),
        ..samples::attempt()
    };
    let connection = Port {
        how: Some(port::How::Accept),
        remote: samples::released().remote,
        cookie: Some(Big(4100)),
        ..samples::taken()
    };
    let episode = Episode {
        id: 5,
        process: node.clone(),
        proto: Proto::Tcp,
        addr: Some("0.0.0.0".to_owned()),
        port: Some(8080),
        netns: Some(4_026_531_840),
        first: text(20),
        last: text(100),
        attempts: 5,
        processes: 1,
        outcome: Outcome::Bound,
        blocked_ms: 80_000,
        by: vec![
            Segment {
                cause: Some(Cause::LiveListener),
                owner: Some(python.clone()),
                ms: 30_000,
                attempts: 2,
            },
            Segment {
                cause: Some(Cause::TimeWait),
                owner: Some(python.clone()),
                ms: 50_000,
                attempts: 2,
            },
        ],
        by_omitted: 0,
        freed_by: Some(Freed {
            how: FreedHow::TimeWaitOver,
            time: text(100),
            owner: Some(python.clone()),
            local: samples::address("0.0.0.0", 8080),
            remote: Some(samples::address("10.0.0.9", 40_000)),
        }),
    };
    let attempt = |attempt| Body::Attempt(Box::new(attempt));
    let events = [
        (0, samples::start().body),
        (10, Body::Port(Box::new(samples::taken()))),
        (12, attempt(listens)),
        (15, Body::Port(Box::new(connection))),
        (20, attempt(fail(&node, Cause::LiveListener))),
        (30, attempt(fail(&node, Cause::LiveListener))),
        (40, Body::Port(Box::new(samples::released()))),
        (40, Body::TimeWait(Box::new(samples::entered()))),
        (
            41,
            Body::Port(Box::new(Port {
                cookie: Some(Big(4099)),
                remote: None,
                ..samples::released()
            })),
        ),
        (50, attempt(fail(&node, Cause::TimeWait))),
        (60, attempt(fail(&node, Cause::TimeWait))),
        (
            100,
            Body::TimeWait(Box::new(TimeWait {
                ..samples::left(Some(Reason::Expired))
            })),
        ),
        (
            100,
            attempt(Attempt {
                process: node,
                socket: socket(4200),
                ..samples::attempt()
            }),
        ),
        (100, Body::Episode(Box::new(episode))),
        (110, samples::lost("attempt").body),
        (120, samples::stop().body),
    ];
    events
        .into_iter()
        .enumerate()
        .map(|(index, (seconds, body))| Record {
            seq: index as u64 + 1,
            time: text(seconds),
            boot_ns: Big(samples::BOOT_NS + seconds as u64 * 1_000_000_000),
            body,
        })
        .collect()
}

/// As lines.
pub(super) fn lines(records: &[Record]) -> String {
    let mut out = Vec::new();
    for record in records {
        json::to_line(record, &mut out);
    }
    String::from_utf8(out).unwrap()
}

/// Logs of one file each.
pub(super) fn in_memory(logs: Vec<impl Into<Vec<u8>>>) -> Vec<Log> {
    let log = |(number, log): (usize, Vec<u8>)| Log {
        number,
        files: vec![Open::in_memory(&number.to_string(), &log)],
    };
    logs.into_iter()
        .map(Into::into)
        .enumerate()
        .map(log)
        .collect()
}

/// What is found in logs.
pub(super) fn gather(logs: Vec<String>, wanted: Wanted) -> Gather {
    let mut found = Gather::new(wanted);
    read::read(in_memory(logs), &mut found);
    found.finish();
    found
}

/// What is found in the log.
pub(super) fn found() -> Gather {
    gather(vec![lines(&log())], Wanted::default())
}
