use super::*;
use crate::{input::Open, reader::tests::text};
use portwatch_core::model::record::Record;
use portwatch_core::samples;

/// A record of a second.
fn at(second: u32, seq: u64) -> Record {
    Record {
        seq,
        time: format!("2026-11-21T12:00:{second:02}.000000000Z"),
        ..samples::of(samples::attempt())
    }
}

fn log(number: usize, records: &[Record]) -> Reader {
    Reader::new(
        number,
        vec![Open::in_memory(&format!("f{number}"), &text(records))],
    )
}

fn order(merged: Merged) -> Vec<String> {
    merged.map(|entry| entry.place.to_string()).collect()
}

#[test]
fn earlier_comes_first_and_each_log_keeps_its_order() {
    let merged = Merged::new(vec![
        log(0, &[at(10, 1), at(30, 2), at(5, 3), at(50, 4)]),
        log(1, &[at(10, 1), at(20, 2), at(30, 3), at(40, 4)]),
    ]);
    assert_eq!(
        order(merged),
        [
            "f0:1", "f1:1", "f1:2", "f0:2", "f0:3", "f1:3", "f1:4", "f0:4"
        ]
    );
}

#[test]
fn what_has_no_time_is_told_at_once() {
    let odd = Record {
        time: "noon".to_owned(),
        ..at(0, 2)
    };
    let merged = Merged::new(vec![
        log(0, &[at(10, 1), odd, at(30, 3)]),
        Reader::new(1, vec![Open::in_memory("f1", b"oops\n")]),
    ]);
    assert_eq!(order(merged), ["f1:1", "f0:1", "f0:2", "f0:3"]);
}

#[test]
fn hosts_are_known_before_anything_is_read() {
    let merged = Merged::new(vec![log(0, &[samples::start()]), log(1, &[at(1, 1)])]);
    assert_eq!(merged.hosts().collect::<Vec<_>>(), ["web1"]);
}
