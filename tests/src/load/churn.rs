//! Holders of one port that live for less than a millisecond, and binders that want it all the time: whom portwatch names
//! must have had that very socket.
//!
//! Processes do it, and each writes down what it did and when. A socket is known by its inode, which is not given again
//! for long; so a name is right if it is that of the process which made the socket of this inode.

mod part;

use std::{
    collections::HashMap,
    fmt,
    io::Read,
    process::{Child, Command, Stdio},
    thread,
};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;

pub use self::part::{Attempt, Hold, Part, Role, play};
use super::plays::Arena;
use crate::{
    expect::play::{Runner, await_what_has_happened},
    harness::totals,
};

/// The port, in a namespace of its own.
const PORT: u16 = 8080;
/// Processes that fork holders, or bind; what their names begin with, and how often they do it in a round.
const PARTS: [(Role, &str, u32); 4] = [
    (Role::Holders, "ha", 40),
    (Role::Holders, "hb", 40),
    (Role::Binder, "ba", 80),
    (Role::Binder, "bb", 80),
];
/// Between rounds portwatch catches up: who asks for names as fast as that would have it lose records, and count them.
const ROUNDS: u32 = 10;
/// How long a socket may stay behind its process, which is said to be gone then: longer than anything keeps it.
const KEPT_NS: u64 = 5_000_000_000;

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// Binds.
    pub attempts: usize,
    /// Binds that failed.
    pub failed: usize,
    /// Failures whose record names a process.
    pub named: usize,
    /// Failures whose holder let go in the microseconds after the kernel had refused, and was seen to.
    pub released: usize,
    /// Failures whose cause is unknown.
    pub unknown: usize,
    /// What is wrong.
    pub problems: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            attempts,
            failed,
            named,
            released,
            unknown,
            problems,
        } = self;
        write!(
            f,
            "{attempts} binds, {failed} failed: {named} with a name, {released} released just now, {unknown} unknown; {} problems",
            problems.len()
        )
    }
}

/// Does it while portwatch watches.
pub fn run(runner: &Runner) -> Result<Report> {
    let trace = runner.trace()?;
    let mut played = Part::default();
    for round in 0..ROUNDS {
        // A thread of its own, as it moves to another namespace.
        let part = thread::scope(|scope| {
            let playing = scope.spawn(|| play_round(runner, round));
            let played = playing.join();
            played.unwrap_or_else(|_| Err(anyhow!("it panicked")))
        })?;
        await_what_has_happened(&trace, 0)?;
        played.holds.extend(part.holds);
        played.attempts.extend(part.attempts);
    }
    let log = trace.stop()?.records;
    let stop = totals(&log)?;
    ensure!(stop["lost"] == 0, "too fast for portwatch: {stop}");
    Ok(compare(&played, &log))
}

fn play_round(runner: &Runner, round: u32) -> Result<Part> {
    Arena::new()?.enter(true)?;
    let start = |(role, name, times): &(Role, &str, u32)| -> Result<Child> {
        let mut command = Command::new(&runner.scenarios);
        command
            .args(["churn", role.as_str(), &format!("{name}{round}-")])
            .args([PORT.to_string(), times.to_string()]);
        Ok(command.stdout(Stdio::piped()).spawn()?)
    };
    let children: Vec<_> = PARTS.iter().map(start).collect();
    let mut whole = Part::default();
    for child in children {
        let mut child = child?;
        let mut told = String::new();
        let stdout = child.stdout.as_mut().context("no stdout")?;
        stdout.read_to_string(&mut told)?;
        ensure!(child.wait()?.success(), "a part of it failed");
        let part: Part = serde_json::from_str(&told)?;
        whole.holds.extend(part.holds);
        whole.attempts.extend(part.attempts);
    }
    Ok(whole)
}

/// Compares the records with what was done.
#[must_use]
pub fn compare(played: &Part, log: &[Value]) -> Report {
    let mut report = Report::default();
    let mut holds: HashMap<&str, Vec<&Hold>> = HashMap::new();
    for hold in &played.holds {
        holds.entry(&hold.comm).or_default().push(hold);
    }
    let mut records: HashMap<&str, Vec<&Value>> = HashMap::new();
    for record in log {
        let is_bind =
            record["type"] == "attempt" && record["op"] == "bind" && record["port"] == PORT;
        if let (true, Some(comm)) = (is_bind, record["process"]["comm"].as_str()) {
            records.entry(comm).or_default().push(record);
        }
    }
    let mut attempts: HashMap<&str, Vec<&Attempt>> = HashMap::new();
    for attempt in &played.attempts {
        attempts.entry(&attempt.comm).or_default().push(attempt);
    }
    for (comm, attempts) in attempts {
        let told = records.remove(comm).unwrap_or_default();
        if told.len() != attempts.len() {
            let (made, told) = (attempts.len(), told.len());
            report
                .problems
                .push(format!("{comm} made {made} binds, told are {told}"));
        }
        for (attempt, record) in attempts.iter().zip(told) {
            report.attempts += 1;
            if record["errno"] != attempt.errno {
                let wrong = format!("{attempt:?} is recorded as {record}");
                report.problems.push(wrong);
            } else if attempt.errno != 0 {
                look(&mut report, attempt, record, &holds);
            }
        }
    }
    report
}

fn look(report: &mut Report, attempt: &Attempt, record: &Value, holds: &HashMap<&str, Vec<&Hold>>) {
    report.failed += 1;
    report.unknown += usize::from(record["verdict"]["cause"] == "unknown");
    let blockers = record["blockers"].as_array().map_or(&[][..], Vec::as_slice);
    let mut is_named = false;
    for blocker in blockers {
        let owner = Some(&blocker["owner"]).filter(|owner| !owner.is_null());
        let holders = blocker["holders"].as_array().into_iter().flatten();
        let holders = holders.map(|holder| &holder["process"]);
        for process in owner.into_iter().chain(holders) {
            is_named = true;
            if !is_right(process, &blocker["inode"], attempt, holds) {
                let wrong = format!("{attempt:?} was not blocked by {process}: {record}");
                report.problems.push(wrong);
            }
        }
    }
    let verdict = &record["verdict"];
    if verdict["cause"] == "released-just-now" {
        report.released += 1;
        let releaser = &record["released"]["owner"];
        if !releaser.is_null() {
            is_named = true;
            if !is_right(releaser, &Value::Null, attempt, holds) {
                let wrong = format!("{attempt:?} was not blocked by {releaser}: {record}");
                report.problems.push(wrong);
            }
        }
    }
    report.named += usize::from(is_named);
    let summary = verdict["summary"].as_str().unwrap_or_default();
    // Names are followed by the pid: `hb17[4711]`.
    if !is_named
        && holds
            .keys()
            .any(|comm| summary.contains(&format!("{comm}[")))
    {
        report
            .problems
            .push(format!("a name from nowhere: {record}"));
    }
}

fn is_right(
    process: &Value,
    inode: &Value,
    attempt: &Attempt,
    holds: &HashMap<&str, Vec<&Hold>>,
) -> bool {
    let holds = process["comm"].as_str().and_then(|comm| holds.get(comm));
    holds.into_iter().flatten().any(|hold| {
        let kept = if inode.is_null() { 0 } else { KEPT_NS };
        process["pid"] == hold.pid
            && (inode.is_null() || *inode == hold.inode)
            && hold.from <= attempt.to
            && attempt.from <= hold.to + kept
    })
}

/// Fails if anybody was named who did not hold the port, or a bind was not told; or if nothing of it was tried.
pub fn judge(report: &Report) -> Result<()> {
    let first: Vec<&str> = report
        .problems
        .iter()
        .take(10)
        .map(String::as_str)
        .collect();
    ensure!(first.is_empty(), "{report}\n{}", first.join("\n"));
    ensure!(report.failed >= 100, "hardly any bind failed: {report}");
    ensure!(
        report.released > 0,
        "nobody was seen to let go in the middle of a call: {report}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hold(comm: &str, pid: u32, inode: u64, from: u64) -> Hold {
        let comm = comm.to_owned();
        let to = from + 10;
        Hold {
            comm,
            pid,
            inode,
            from,
            to,
        }
    }

    fn told(owner: &Value, inode: &Value) -> Report {
        let (comm, pid) = ("ba".to_owned(), 9);
        let played = Part {
            holds: vec![hold("ha0", 5, 70, 100), hold("ha1", 6, 71, 200)],
            attempts: vec![Attempt {
                comm,
                pid,
                errno: 98,
                from: 205,
                to: 207,
            }],
        };
        let record = json!({
            "type": "attempt", "op": "bind", "port": PORT, "errno": 98,
            "process": {"comm": "ba", "pid": 9},
            "blockers": [{"owner": owner, "inode": inode, "holders": []}],
            "verdict": {"cause": "live-listener", "summary": "?"},
        });
        compare(&played, &[record])
    }

    #[test]
    fn a_wrong_name_is_found() {
        let first = json!({"comm": "ha0", "pid": 5});
        let second = json!({"comm": "ha1", "pid": 6});
        assert_eq!(told(&second, &json!(71)).problems, [""; 0]);
        assert_eq!(told(&second, &Value::Null).problems, [""; 0]);
        // Its socket may stay behind, but it is another one.
        assert_eq!(told(&first, &json!(70)).problems, [""; 0]);
        assert_eq!(told(&first, &json!(71)).problems.len(), 1);
        assert_eq!(told(&first, &Value::Null).problems.len(), 1);
        assert_eq!(
            told(&json!({"comm": "ha1", "pid": 5}), &json!(71))
                .problems
                .len(),
            1
        );
        assert_eq!(told(&Value::Null, &json!(71)).problems, [""; 0]);
    }
}
