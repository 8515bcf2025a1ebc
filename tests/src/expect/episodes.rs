//! Compares the episodes that portwatch tells with what a scenario knows of them.

use serde_json::{Value, json};

use super::truth::Episode;
use super::{attempts_of, changes::are_ports_told, text};

/// Everything in which the episodes in a log's records from `first` on differ from the truth.
///
/// The record of an episode that ends with an attempt follows that attempt's; the others come when tracing ends.
pub(super) fn compare(truth: &[Episode], log: &[Value], first: usize) -> Vec<String> {
    let has_ended = log.last().is_some_and(|last| last["type"] == "stop");
    let ports_told = are_ports_told(log);
    let told = |expected: &Episode| -> Vec<&Value> {
        let is_of = |record: &&Value| {
            record["type"] == "episode"
                && record["process"]["pid"] == expected.pid
                && record["port"] == expected.port
        };
        log[first..].iter().filter(is_of).collect()
    };
    let mut problems = Vec::new();
    for expected in truth {
        if expected.outcome != "bound" && !has_ended {
            continue;
        }
        let title = format!("episode of {} at port {}", expected.pid, expected.port);
        let [record] = told(expected)[..] else {
            problems.push(format!("{title}: told {} times", told(expected).len()));
            continue;
        };
        let mut same = |what: &str, told: &Value, truth: Value| {
            if *told != truth {
                problems.push(format!("{title}: {what} is {told}, and should be {truth}"));
            }
        };
        same("outcome", &record["outcome"], json!(expected.outcome));
        same("attempts", &record["attempts"], json!(expected.attempts));
        same("processes", &record["processes"], json!(expected.processes));
        let spells = record["by"].as_array().map_or(&[][..], Vec::as_slice);
        let by: Vec<(String, &Value, &Value)> = spells
            .iter()
            .map(|spell| {
                let owner = &spell["owner"]["pid"];
                (text(&spell["cause"]), owner, &spell["attempts"])
            })
            .collect();
        same("by", &json!(by), json!(expected.by));
        let freed = &record["freed_by"];
        if !freed.is_null() || (ports_told && expected.freed.is_some()) {
            let owner = expected.by.last().and_then(|(_, owner, _)| *owner);
            // portwatch reports the end only of processes that acted while it was running.
            let unseen = owner.is_some_and(|pid| attempts_of(log, pid).is_empty());
            let how = match expected.freed.as_deref() {
                Some("exited") if unseen => Some("closed"),
                how => how,
            };
            same("how it was freed", &freed["how"], json!(how));
            same("who had it", &freed["owner"]["pid"], json!(owner));
        }
        let ms = |value: &Value| value.as_u64().unwrap_or(u64::MAX / 64);
        let all: u64 = spells.iter().map(|spell| ms(&spell["ms"])).sum();
        if all > ms(&record["blocked_ms"]) {
            problems.push(format!("{title}: {all} ms of {}", record["blocked_ms"]));
        }
        let number = &record["id"];
        let failures = log[first..].iter().filter(|other| {
            other["type"] == "attempt" && !number.is_null() && other["episode"] == *number
        });
        let failures = failures.count() as u64;
        let truth = expected.attempts - u64::from(expected.outcome == "bound");
        if failures != truth {
            problems.push(format!(
                "{title}: {failures} failures name it, and should be {truth}"
            ));
        }
    }
    problems
}
