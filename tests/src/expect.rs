//! What is expected of portwatch: a scenario's [`truth`], and portwatch's records compared with it.
//!
//! - [`truth`]: what a scenario knows has happened.
//! - [`play`]: plays scenarios while portwatch watches, and compares.
//! - `attempt`, `blocker`, `holding`, `race`, `changes`, `episodes`: compare one subject each.
//! - `means`: what a log and this kernel can show at all. Nothing else is demanded.
//! - `proven`: the causes of the truth that the records show as well.
//! - [`log`]: what must hold of every log, whatever has happened.
//!
//! In names, *truth* or *expected* is the scenario's side, *told* or *recorded* is portwatch's, and a *problem* is a
//! difference.

mod attempt;
mod blocker;
mod changes;
mod episodes;
mod holding;
pub mod log;
mod means;
pub mod play;
mod proven;
mod race;
pub mod truth;

use std::collections::BTreeSet;

use serde_json::Value;

use self::means::passes_filter;
use self::truth::{Change, Expected, Truth};
pub use self::{
    means::{hides_calls, is_traced},
    proven::Proven,
};

/// Everything in which a log's records from `first` on differ from the truth; nothing if portwatch told it all.
///
/// The records of each process must be its attempts, one for one and in order. Other processes' are not looked at. What
/// takes a capability that the log's beginning reports as missing is not demanded.
#[must_use]
pub fn compare(truth: &Truth, log: &[Value], first: usize) -> Vec<String> {
    let mut problems = changes::compare(&truth.changes, log, first);
    problems.extend(episodes::compare(&truth.episodes, log, first));
    for (pid, of_pid, recorded) in by_process(truth, log, first) {
        if of_pid.len() != recorded.len() {
            let told: Vec<String> = recorded.iter().map(|record| title(record)).collect();
            problems.push(format!(
                "pid {pid} made {} attempts; recorded are {}: {told:?}",
                of_pid.len(),
                recorded.len()
            ));
        }
        for (expected, record) in of_pid.iter().zip(recorded) {
            problems.extend(attempt::compare(expected, record, log));
        }
    }
    problems
}

/// The causes that the records prove which do not differ from the truth.
#[must_use]
pub fn proven(truth: &Truth, log: &[Value], first: usize) -> Proven {
    let mut proven = Proven::default();
    for (_, of_pid, recorded) in by_process(truth, log, first) {
        for (expected, record) in of_pid.iter().zip(recorded) {
            proven.look(expected, record);
        }
    }
    proven
}

type OfProcess<'a> = (u32, Vec<&'a Expected>, Vec<&'a Value>);

/// For each process, the expected attempts and the records, in order.
fn by_process<'a>(truth: &'a Truth, log: &'a [Value], first: usize) -> Vec<OfProcess<'a>> {
    let staged = is_traced(log, "stages");
    let expected = || {
        truth.expect.iter().filter(|entry| {
            // Only a function of the kernel shows what its own programs bind.
            !entry.before_tracing && (staged || !entry.kernel) && passes_filter(entry, log)
        })
    };
    let pids: BTreeSet<u32> = expected().map(|entry| entry.binder.pid).collect();
    let of = |pid| {
        let of_pid = expected().filter(|entry| entry.binder.pid == pid).collect();
        (pid, of_pid, attempts_of(&log[first..], pid))
    };
    pids.into_iter().map(of).collect()
}

/// Whether a log's records from `first` on may tell all of these changes.
#[must_use]
pub fn have_come(changes: &[Change], log: &[Value], first: usize) -> bool {
    changes::have_come(changes, log, first)
}

/// The records of a process's attempts, in order.
#[must_use]
pub fn attempts_of(records: &[Value], pid: u32) -> Vec<&Value> {
    let is_of = |record: &&Value| record["type"] == "attempt" && record["process"]["pid"] == pid;
    records.iter().filter(is_of).collect()
}

/// A record in a few words.
#[must_use]
pub fn title(record: &Value) -> String {
    if record["type"] != "attempt" {
        return text(&record["type"]);
    }
    format!(
        "{} {} {}:{} {} by {}",
        text(&record["op"]),
        text(&record["proto"]),
        text(&record["addr"]),
        record["port"],
        text(&record["result"]),
        record["process"]["pid"],
    )
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}
