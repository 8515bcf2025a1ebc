//! A whole log.

use super::{
    address, attempt, conflict, entered, left, listener, lost, of, of_port, of_time_wait, other,
    process, record, refused, released, start, stop, taken, time_wait, verdict,
};
use crate::model::{
    episode::{Episode, Outcome, Segment},
    freed::{Freed, FreedHow},
    record::{Body, Record},
    socket::Proto,
    time_wait::Reason,
    verdict::Cause,
};
use crate::prelude::*;

/// An episode that ended well.
pub fn episode() -> Record {
    record(
        8,
        Body::Episode(Box::new(Episode {
            id: 1,
            process: process("node", 4182),
            proto: Proto::Tcp,
            addr: Some("0.0.0.0".to_owned()),
            port: Some(8080),
            netns: Some(4_026_531_840),
            first: "2026-11-21T12:03:11.718000000Z".to_owned(),
            last: "2026-11-21T12:03:41.118000000Z".to_owned(),
            attempts: 12,
            processes: 1,
            outcome: Outcome::Bound,
            blocked_ms: 29_400,
            by: vec![Segment {
                cause: Some(Cause::LiveListener),
                owner: Some(process("java", 977)),
                ms: 29_400,
                attempts: 11,
            }],
            by_omitted: 0,
            freed_by: Some(Freed {
                how: FreedHow::Exited,
                time: "2026-11-21T12:03:41.100000000Z".to_owned(),
                owner: Some(process("java", 977)),
                local: address("0.0.0.0", 8080),
                remote: None,
            }),
        })),
    )
}

/// A log with records of every type.
pub fn all() -> Vec<Record> {
    let conflict = conflict(vec![listener(), other(time_wait())], Some(verdict()));
    let bodies = [
        start().body,
        of(attempt()).body,
        of(conflict).body,
        of(refused("EACCES", 13, None)).body,
        of_port(taken()).body,
        of_port(released()).body,
        of_time_wait(entered()).body,
        of_time_wait(left(Some(Reason::Expired))).body,
        episode().body,
        lost("attempt").body,
        stop().body,
    ];
    let seq = 1..;
    seq.zip(bodies)
        .map(|(seq, body)| record(seq, body))
        .collect()
}
