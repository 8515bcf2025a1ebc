//! What the text looks like.

use jiff::tz::Offset;

use super::*;
use portwatch_core::model::{
    attempt::{Attempt, Blocker},
    process::{Owner, Process, Source},
};
use portwatch_core::samples::{self, conflict};

mod attempts;
mod episodes;
mod failures;
mod frame;
mod inheritance;
mod keepers;
mod ports;
mod proxies;

fn zone() -> TimeZone {
    TimeZone::fixed(Offset::constant(1))
}

/// The text of these records, without the line of the date.
fn text(records: &[Record]) -> String {
    let text = whole(Theme::plain(), records);
    text.split_inclusive('\n').skip(1).collect()
}

fn whole(theme: Theme, records: &[Record]) -> String {
    let mut out = Vec::new();
    let mut text = Text::new(theme, zone());
    for record in records {
        text.record(record, &mut out).unwrap();
    }
    String::from_utf8(out).unwrap()
}

fn shown(attempt: Attempt) -> String {
    text(&[samples::of(attempt)])
}

fn blocked_by(blockers: Vec<Blocker>) -> String {
    shown(conflict(blockers, None))
}

/// The lines behind the first.
fn facts(text: &str) -> String {
    text.split_inclusive('\n').skip(1).collect()
}

fn unowned(blocker: Blocker) -> Blocker {
    Blocker {
        owner: None,
        holders: Vec::new(),
        ..blocker
    }
}

fn owned(blocker: Blocker, process: Process, alive: Option<bool>, source: Source) -> Blocker {
    Blocker {
        owner: Some(Owner {
            process,
            alive,
            source,
            stopping: None,
        }),
        ..blocker
    }
}
