//! Killed with SIGKILL: what was written is there, whole.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::{
    collections::BTreeSet,
    fs, iter,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use nix::sys::signal::Signal;
use portwatch_tests::{
    harness::{
        Run, can_trace, parse_log, portwatch_binary, read_file, read_lines, trace_command,
        wait_for_files,
    },
    lab::ports::Claim,
};
use serde_json::Value;
use tempfile::TempDir;

const MIB: u64 = 1024 * 1024;

fn trace(arguments: &[&str]) -> Command {
    trace_command(&portwatch_binary().unwrap(), arguments)
}

/// Attempts without an end, of a program that leaves the processors to others.
struct Load {
    free: Claim,
    taken: Claim,
    child: Child,
}

impl Load {
    fn start() -> Self {
        let (free, taken) = (Claim::new().unwrap(), Claim::new().unwrap());
        let child = Command::new("nice")
            .args(["-n", "19", env!("CARGO_BIN_EXE_scenario"), "load"])
            .args([&free, &taken].map(|claim| claim.port.to_string()))
            .args(["--ok", "1", "--fail", &u64::MAX.to_string()])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { free, taken, child }
    }

    fn ports(&self) -> String {
        format!("{},{}", self.free.port, self.taken.port)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How many runs are killed.
const KILLS: u32 = 100;
/// How many of them run at the same time.
const TOGETHER: usize = 5;

/// Killed a hundred times in full flight, also while rotating: every line is whole but perhaps the last of the newest file.
#[test]
fn killed_at_random_moments() {
    if !can_trace() {
        return;
    }
    let load = Load::start();
    let left = AtomicU32::new(KILLS);
    let take = || {
        let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(1)
        });
        taken.is_ok()
    };
    let torn = thread::scope(|scope| {
        let kill_some = || -> Vec<_> {
            let each = iter::from_fn(|| take().then(|| kill_one(&load, fastrand::bool())));
            each.flatten().collect()
        };
        let threads: Vec<_> = (0..TOGETHER).map(|_| scope.spawn(kill_some)).collect();
        let each = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap());
        each.collect::<Vec<_>>()
    });
    drop(load);
    for directory in torn.iter().take(3) {
        add_to(&directory.path().join("log.jsonl"));
    }
}

/// Gives the directory of a log that ends with half a line.
fn kill_one(load: &Load, rotate: bool) -> Option<TempDir> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.jsonl");
    let ports = load.ports();
    let mut arguments = vec!["-o", path.to_str().unwrap(), "-p", &ports];
    if rotate {
        arguments.extend(["--rotate-size", "64K", "--keep", "99"]);
    }
    let run = Run::start(trace(&arguments)).unwrap();
    run.wait_until_tracing().unwrap();
    // The moment is random because the length is.
    let until = fastrand::u64(1..MIB / 8);
    let files = || -> Vec<_> {
        let entries = fs::read_dir(directory.path()).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let len = |path: &PathBuf| fs::metadata(path).map_or(0, |metadata| metadata.len());
    let has_come = || files().iter().map(len).sum::<u64>() >= until;
    wait_for_files(directory.path(), "growth of the log", has_come).unwrap();
    run.signal(Signal::SIGKILL).unwrap();
    assert_eq!(run.finish().unwrap().code(), 137);

    for file in files() {
        // Between two of its steps a rotation leaves an empty file, or none of the first name.
        let newest = file == path || !path.exists() && file == directory.path().join("log.jsonl.1");
        if fs::metadata(&file).unwrap().len() > 0 || !newest {
            check_killed(&file, newest);
        }
    }
    let is_torn = fs::read(&path).is_ok_and(|log| log.last().is_some_and(|byte| *byte != b'\n'));
    check_replay(&path, is_torn);
    is_torn.then_some(directory)
}

/// `replay` shows all of it, and says what is missing at its end.
fn check_replay(path: &Path, is_torn: bool) {
    let mut replay = Command::new(portwatch_binary().unwrap());
    replay.args(["replay", "--rotated", "--format", "json"]);
    let replayed = replay.arg(path).output().unwrap();
    assert!(replayed.status.success(), "{replayed:?}");
    let told = parse_log(
        &replayed
            .stdout
            .trim_ascii_end()
            .split(|byte| *byte == b'\n')
            .collect::<Vec<_>>(),
    );
    let seq = |record: &Value| record["seq"].as_u64().unwrap();
    let numbers: BTreeSet<u64> = told.unwrap().iter().map(seq).collect();
    let last = numbers.last().copied().unwrap();
    assert!(numbers.into_iter().eq(1..=last));
    let said = String::from_utf8(replayed.stderr).unwrap();
    assert_eq!(said.contains("the last line is cut off"), is_torn, "{said}");
    let unended = said.contains("no `stop` record ends this run");
    assert_eq!(unended, !is_torn, "{said}");
}

fn check_killed(file: &Path, newest: bool) {
    let lines = read_lines(file, newest).unwrap();
    if !lines.is_empty() || !newest {
        read_file(file, newest).unwrap();
    }
}

/// The half line is taken away, and the next run begins on a line of its own.
fn add_to(path: &Path) {
    let arguments = [
        "-o",
        path.to_str().unwrap(),
        "--append",
        "--duration",
        "1ms",
    ];
    let ended = Run::start(trace(&arguments)).unwrap().finish().unwrap();
    assert_eq!(ended.code(), 0, "{ended:?}");
    let said = ended.stderr.contains("ended in the middle of a record");
    assert!(said, "{ended:?}");
    let records = parse_log(&read_lines(path, false).unwrap()).unwrap();
    assert_eq!(records.last().unwrap()["type"], "stop");
}
