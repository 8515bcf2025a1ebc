//! Compares what portwatch tells of a watched port, beside attempts, with what has become of it.

use std::{collections::BTreeSet, ops::RangeInclusive};

use serde_json::{Value, json};

use super::truth::{Change, Kind};
use super::{
    means::{abilities, is_missing, is_traced},
    text,
};

/// Timers end up to 5.1 s late (a timer of 60 s at 100 Hz), and an emulated machine may be late, too.
const LATE_MS: u64 = 6_000;
/// Where no function tells it, how much later the end of one that is due is noticed.
const NOTICED_MS: u64 = 4_000;
/// How far from what it is set to a timer can be when it is looked at: a tick up, and how long that takes down.
const TIMER_MS: RangeInclusive<u64> = 59_000..=60_010;

/// How portwatch has something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Not at all.
    Missing,
    /// It concludes it.
    Inferred,
    /// A function of the kernel tells it.
    Told,
}

impl Way {
    fn of(log: &[Value], capability: &str) -> Self {
        if is_traced(log, capability) {
            Self::Told
        } else if is_missing(log, capability) {
            Self::Missing
        } else {
            Self::Inferred
        }
    }
}

/// Whether the function of the kernel tells that gives ports back.
pub(super) fn are_ports_told(log: &[Value]) -> bool {
    Way::of(log, "ports") == Way::Told
}

/// Which of these changes portwatch can tell at all, and how.
#[derive(Clone, Copy)]
struct Means {
    ports: Way,
    time_waits: Way,
    /// It sees who makes and who closes connections.
    connections: bool,
}

impl Means {
    fn of(log: &[Value]) -> Self {
        Self {
            ports: Way::of(log, "ports"),
            time_waits: Way::of(log, "time_waits"),
            connections: !is_missing(log, "connections"),
        }
    }

    /// Whether a function of the kernel tells it.
    fn are_told(self, kind: Kind) -> bool {
        match kind {
            Kind::Port => self.ports == Way::Told,
            Kind::TimeWait => self.time_waits == Way::Told,
        }
    }

    fn can_tell(self, change: &Change) -> bool {
        match (change.kind, self.ports, self.time_waits) {
            (Kind::Port, Way::Missing, _) | (Kind::TimeWait, _, Way::Missing) => false,
            (Kind::Port, Way::Told, _) | (Kind::TimeWait, _, Way::Told) => true,
            // No tracepoint sees a UDP socket give its port back. Those that `connect()` and `accept()` make are seen
            // with connections.
            (Kind::Port, Way::Inferred, _) => {
                let is_udp_release = change.proto == "udp" && change.action == "released";
                !is_udp_release && (self.connections || !change.connected)
            }
            // What is over before the timer was due the first time is not noticed.
            (Kind::TimeWait, _, Way::Inferred) => {
                self.connections && !(change.action == "rearm" && change.brief)
            }
        }
    }
}

/// What is wrong with what a log's records from `first` on tell of these changes.
pub(super) fn compare(changes: &[Change], log: &[Value], first: usize) -> Vec<String> {
    let means = Means::of(log);
    let mut problems = Vec::new();
    for (kind, expected, recorded) in side_by_side(changes, log, first) {
        if expected.len() != recorded.len() {
            let truth: Vec<String> = expected.iter().map(ToString::to_string).collect();
            let told: Vec<String> = recorded.iter().map(|record| title(record)).collect();
            problems.push(format!(
                "{}: these are the changes: {truth:#?}; recorded are {told:#?}",
                kind.record()
            ));
            continue;
        }
        for (change, record) in expected.into_iter().zip(recorded) {
            let mut difference = Difference {
                change,
                problems: &mut problems,
            };
            difference.look(record, means);
        }
    }
    problems
}

/// Whether as many records have come as there are to be.
pub(super) fn have_come(changes: &[Change], log: &[Value], first: usize) -> bool {
    side_by_side(changes, log, first)
        .iter()
        .all(|(_, expected, recorded)| expected.len() <= recorded.len())
}

type SideBySide<'a> = (Kind, Vec<&'a Change>, Vec<&'a Value>);

/// For each port and kind of record, the expected changes and the records, in order.
fn side_by_side<'a>(changes: &'a [Change], log: &'a [Value], first: usize) -> Vec<SideBySide<'a>> {
    let means = Means::of(log);
    let ports: BTreeSet<(u64, u16)> = changes
        .iter()
        .map(|change| (change.netns, change.port))
        .collect();
    let owners: BTreeSet<u32> = changes.iter().filter_map(|change| change.owner).collect();
    let mut all = Vec::new();
    for (netns, port) in ports {
        for kind in [Kind::Port, Kind::TimeWait] {
            let expected = changes
                .iter()
                .filter(|change| (change.netns, change.port, change.kind) == (netns, port, kind))
                .filter(|change| means.can_tell(change))
                .collect();
            let is_of_us = |record: &&Value| {
                let pid = record["owner"]["pid"].as_u64();
                pid.is_some_and(|pid| owners.contains(&(pid as u32)))
            };
            let recorded = log[first..]
                .iter()
                .filter(|record| {
                    record["type"] == kind.record()
                        && record["netns"] == netns
                        && record["local"]["port"] == port
                })
                // Before, the scenario itself has tried whether the port is free.
                .skip_while(|record| !is_of_us(record))
                .filter(|record| means.are_told(kind) || !is_brief_rearm(record, changes))
                .collect();
            all.push((kind, expected, recorded));
        }
    }
    all
}

/// A `rearm` that need not be noticed, and was.
fn is_brief_rearm(record: &Value, changes: &[Change]) -> bool {
    record["action"] == "rearm"
        && changes.iter().any(|change| {
            change.brief
                && change.action == "rearm"
                && record["remote"]["port"] == json!(change.peer)
        })
}

fn title(record: &Value) -> String {
    let fields = [
        &record["action"],
        &record["remote"]["port"],
        &record["how"],
        &record["substate"],
        &record["reason"],
        &record["owner"]["pid"],
    ];
    fields.map(text).join(" ")
}

/// Who bound a socket is known by its inode, which is gone when it gives the port back. A cookie stays.
fn may_be_forgotten(change: &Change, told: bool) -> bool {
    let was_bound = change.action == "released" && change.how.as_deref() == Some("bind");
    was_bound && (!abilities().gives_cookies || change.only_bound && !told)
}

struct Difference<'a> {
    change: &'a Change,
    problems: &'a mut Vec<String>,
}

impl Difference<'_> {
    fn same(&mut self, what: &str, told: &Value, truth: &Value) {
        if told != truth {
            self.note(&format!("{what} is {told}, and should be {truth}"));
        }
    }

    fn note(&mut self, problem: &str) {
        self.problems.push(format!("{}: {problem}", self.change));
    }

    fn between(&mut self, what: &str, told: &Value, range: &RangeInclusive<u64>) {
        if !told.as_u64().is_some_and(|told| range.contains(&told)) {
            self.note(&format!("{what} is {told}, and should be in {range:?}"));
        }
    }

    fn look(&mut self, record: &Value, means: Means) {
        let change = self.change;
        let told = means.are_told(change.kind);
        self.same("action", &record["action"], &json!(change.action));
        self.same("addr", &record["local"]["addr"], &json!("127.0.0.1"));
        let peer = match change.peer {
            Some(port) => json!({"addr": "127.0.0.1", "port": port}),
            None => Value::Null,
        };
        self.same("remote", &record["remote"], &peer);
        self.same("inferred", &record["inferred"], &json!(!told));
        let unseen = change.connected && !means.connections;
        let forgotten = record["owner"].is_null() && may_be_forgotten(change, told);
        if !unseen && !forgotten {
            self.same("owner", &record["owner"]["pid"], &json!(change.owner));
        }
        match change.kind {
            Kind::Port => {
                self.same("proto", &record["proto"], &json!(change.proto));
                self.same("how", &record["how"], &json!(change.how));
                let unseen = means.time_waits == Way::Missing && change.connected;
                let reason = change.reason.as_ref().filter(|_| !unseen);
                self.same("reason", &record["reason"], &json!(reason));
            }
            Kind::TimeWait => self.time_wait(record, told),
        }
    }

    fn time_wait(&mut self, record: &Value, told: bool) {
        let change = self.change;
        let ended = change.action == "leave";
        // Of one that is gone, what was seen last.
        if told || !ended {
            self.same("substate", &record["substate"], &json!(change.substate));
        }
        let expires = &record["expires_in_ms"];
        match (change.action.as_str(), told) {
            ("leave", _) => self.same("expires_in_ms", expires, &Value::Null),
            ("rearm", false) => self.between("expires_in_ms", expires, &(1..=*TIMER_MS.end())),
            _ => self.between("expires_in_ms", expires, &TIMER_MS),
        }
        // What looks at it when it is due cannot tell that it was killed before.
        let noticed = told || change.reason.as_deref() != Some("killed");
        if noticed {
            self.same("reason", &record["reason"], &json!(change.reason));
        } else if record["reason"] == "reused" {
            self.note("reason is reused, and should be expired or nothing");
        }
        self.same("reused_by", &record["reused_by"], &json!(change.reused_by));
        match change.lasted_ms {
            Some((least, most)) => {
                let later = match (change.reason.as_deref(), told) {
                    (Some("expired"), true) => LATE_MS,
                    (Some("expired"), false) => LATE_MS + NOTICED_MS,
                    (Some("killed"), false) => *TIMER_MS.end() + LATE_MS + NOTICED_MS,
                    _ => 0,
                };
                self.between("lasted_ms", &record["lasted_ms"], &(least..=most + later));
            }
            None => self.same("lasted_ms", &record["lasted_ms"], &Value::Null),
        }
    }
}
