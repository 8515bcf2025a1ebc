//! Trouble with what is written to: nothing that was written is lost, tracing goes on, and what is missing is counted.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use portwatch_tests::{
    harness::{
        Run, can_trace, check_log, check_totals, parse_log, portwatch_binary, read_file,
        read_lines, totals, trace_command, wait_for_files,
    },
    lab::ports::Claim,
};
use serde_json::Value;
use tempfile::TempDir;

const SCENARIO: &str = env!("CARGO_BIN_EXE_scenario");
const MIB: usize = 1024 * 1024;

fn trace(arguments: &[&str]) -> Command {
    trace_command(&portwatch_binary().unwrap(), arguments)
}

/// Tests with a load come one after the other: what disturbs them is their own.
static LOADED: Mutex<()> = Mutex::new(());

/// Two ports, and programs that bind to them.
struct Load {
    free: Claim,
    taken: Claim,
    _alone: MutexGuard<'static, ()>,
}

impl Load {
    fn new() -> Self {
        Self {
            free: Claim::new().unwrap(),
            taken: Claim::new().unwrap(),
            _alone: LOADED.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    fn ports(&self) -> String {
        format!("{},{}", self.free.port, self.taken.port)
    }

    /// So many attempts that fail.
    fn run(&self, attempts: u64) {
        let status = Command::new(SCENARIO)
            .arg("load")
            .args([&self.free, &self.taken].map(|claim| claim.port.to_string()))
            .args(["--ok", "1", "--fail", &attempts.to_string()])
            .stdout(Stdio::null())
            .status();
        assert!(status.unwrap().success());
    }

    /// One attempt more.
    fn bind(&self) {
        drop(TcpListener::bind(("127.0.0.1", self.free.port)).unwrap());
    }
}

/// More attempts than wait for an output that stands still.
const ENOUGH: u64 = 20_000;

/// A file system of 16 MiB that is gone with the value.
struct Disk(TempDir);

impl Disk {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = Some("size=16m");
        mount(
            Some("tmpfs"),
            directory.path(),
            Some("tmpfs"),
            MsFlags::empty(),
            options,
        )
        .unwrap();
        Self(directory)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // It fails only if it was not mounted.
        let _ = umount2(self.0.path(), MntFlags::MNT_DETACH);
    }
}

/// What portwatch says at its end of records that are not in an output.
fn said_missing(stderr: &str, name: &str) -> u64 {
    let said = "records that could not be written: ";
    let line = stderr.lines().find_map(|line| line.split_once(said));
    let counts = line.unwrap_or_else(|| panic!("{stderr}")).1.split(", ");
    let mut of = counts.filter_map(|count| count.strip_suffix(&format!(" to {name}")));
    of.next().unwrap().parse().unwrap()
}

fn gaps(records: &[Value]) -> Vec<&Value> {
    let is_gap = |record: &&Value| record["kind"] == "output";
    records.iter().filter(is_gap).collect()
}

#[test]
fn a_full_disk() {
    if !can_trace() {
        return;
    }
    let disk = Disk::new();
    let ballast = disk.0.path().join("ballast");
    fs::write(&ballast, vec![0; 14 * MIB]).unwrap();
    let path = disk.0.path().join("log.jsonl");
    let load = Load::new();
    let run = Run::start(trace(&["-o", path.to_str().unwrap(), "-p", &load.ports()])).unwrap();
    run.wait_until_tracing().unwrap();
    // More than there is room for now, less than there will be.
    load.run(4000);
    run.wait_for_message("complaint", |line| line.contains("No space left"))
        .unwrap();
    let before = fs::read(&path).unwrap();
    assert!(before.len() > MIB, "{} bytes", before.len());
    assert!(before.ends_with(b"\n"), "half a line");
    fs::remove_file(&ballast).unwrap();
    load.bind();
    run.wait_for_message("recovery", |line| {
        line.contains("works again") && line.contains("missing")
    })
    .unwrap();
    run.signal(Signal::SIGINT).unwrap();
    let ended = run.finish().unwrap();
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert_eq!(ended.stderr.matches("No space left").count(), 1);

    let after = fs::read(&path).unwrap();
    let counted = format!(" in {}", path.display());
    assert!(!ended.stderr.contains(&counted), "not all are there");
    assert!(after.starts_with(&before), "what was written stays");
    let (records, missing) = read_file(&path, false).unwrap();
    assert_eq!(gaps(&records).len(), 1);
    assert_eq!(missing, said_missing(&ended.stderr, path.to_str().unwrap()));
    check_totals(totals(&records).unwrap()).unwrap();
}

#[test]
fn a_directory_that_is_removed() {
    if !can_trace() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("logs");
    fs::create_dir(&inner).unwrap();
    let path = inner.join("log.jsonl");
    let load = Load::new();
    let mut command = trace(&["--format", "json", "-p", &load.ports(), "-o", "-", "-o"]);
    command.arg(&path);
    let run = Run::start(command).unwrap();
    run.wait_until_tracing().unwrap();
    load.bind();
    wait_for_files(&inner, "record", || {
        fs::read(&path).is_ok_and(|log| log.split(|byte| *byte == b'\n').count() > 2)
    })
    .unwrap();
    fs::remove_dir_all(&inner).unwrap();
    load.bind();
    run.wait_for_message("complaint", |line| {
        line.contains("was removed and cannot be made again: No such file or directory")
    })
    .unwrap();
    // Asked to open the file again, it has no better answer, and goes on.
    run.signal(Signal::SIGHUP).unwrap();
    run.wait_for_message("answer", |line| line.contains("create its directory first"))
        .unwrap();
    fs::create_dir(&inner).unwrap();
    load.bind();
    run.wait_for_message("recovery", |line| line.contains("works again"))
        .unwrap();
    run.signal(Signal::SIGINT).unwrap();
    let ended = run.finish().unwrap();
    assert_eq!(ended.code(), 2, "{ended:?}");

    // The other output has everything.
    let printed = parse_log(&ended.stdout).unwrap();
    check_log(&printed).unwrap();
    let (records, missing) = read_file(&path, false).unwrap();
    assert_eq!(missing, said_missing(&ended.stderr, path.to_str().unwrap()));
    assert_eq!(records[1], *gaps(&records)[0]);
    assert_eq!(records[2..], printed[printed.len() - (records.len() - 2)..]);
}

#[test]
fn a_reader_that_stops() {
    if !can_trace() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (path, copy) = (
        directory.path().join("log.jsonl"),
        directory.path().join("copy"),
    );
    let load = Load::new();
    let mut reader = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(File::create(&copy).unwrap())
        .spawn()
        .unwrap();
    let pid = Pid::from_raw(reader.id().cast_signed());
    let mut command = trace(&["--format", "json", "-p", &load.ports(), "-o", "-", "-o"]);
    command.arg(&path);
    command.stdout(reader.stdin.take().unwrap());
    let run = Run::start_with_own_stdout(command).unwrap();
    run.wait_until_tracing().unwrap();
    kill(pid, Signal::SIGSTOP).unwrap();
    load.run(ENOUGH);
    run.wait_for_message("complaint", |line| {
        line.contains("standard output does not take records as fast as they come")
    })
    .unwrap();
    // Tracing goes on for the file.
    let len = || fs::metadata(&path).unwrap().len();
    let before = len();
    wait_for_files(path.parent().unwrap(), "growth of the file", || {
        load.bind();
        len() > before
    })
    .unwrap();
    kill(pid, Signal::SIGCONT).unwrap();
    run.wait_for_message("recovery", |line| {
        line.contains("standard output takes records again")
    })
    .unwrap();
    run.signal(Signal::SIGINT).unwrap();
    let ended = run.finish().unwrap();
    assert!(reader.wait().unwrap().success());
    assert_eq!(ended.code(), 2, "{ended:?}");

    let (printed, missing) = read_file(&copy, false).unwrap();
    assert_eq!(missing, said_missing(&ended.stderr, "standard output"));
    assert!(missing > 0);
    // The file has everything, the copy all but the gap.
    let records = parse_log(&read_lines(&path, false).unwrap()).unwrap();
    check_log(&records).unwrap();
    let is_there = |record: &&Value| record["kind"] != "output";
    for record in printed.iter().filter(is_there) {
        let index = record["seq"].as_u64().unwrap() as usize - 1;
        assert_eq!(*record, records[index]);
    }
}

/// The end of a file: to read all of it takes long.
fn tail(path: &Path) -> String {
    let mut file = File::open(path).unwrap();
    let len = file.metadata().unwrap().len();
    let from = len.saturating_sub(64 * 1024);
    file.seek(SeekFrom::Start(from)).unwrap();
    let mut end = Vec::new();
    file.read_to_end(&mut end).unwrap();
    String::from_utf8_lossy(&end).into_owned()
}

/// Ended while a reader stands still: portwatch says which one, and the others have their end.
#[test]
fn an_end_without_the_reader() {
    if !can_trace() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.jsonl");
    let load = Load::new();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = trace(&["--format", "json", "-p", &load.ports(), "-o", "-", "-o"]);
    command.arg(&path).stdout(writer);
    let run = Run::start_with_own_stdout(command).unwrap();
    run.wait_until_tracing().unwrap();
    load.run(ENOUGH);
    run.wait_for_message("complaint", |line| {
        line.contains("standard output does not take records")
    })
    .unwrap();
    // Once it is asked to end, it waits 10 s for all that is left. Of what is for the file nothing is.
    load.bind();
    let ours = format!(r#""process":{{"pid":{},"#, std::process::id());
    wait_for_files(path.parent().unwrap(), "our bind", || {
        tail(&path).contains(&ours)
    })
    .unwrap();
    run.signal(Signal::SIGINT).unwrap();
    wait_for_files(path.parent().unwrap(), "end of the file", || {
        tail(&path).contains(r#""type":"stop""#)
    })
    .unwrap();
    run.signal(Signal::SIGINT).unwrap();
    let ended = run.finish().unwrap();
    drop(reader);
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(
        ended
            .stderr
            .contains("ended before everything was written to standard output: a second signal"),
        "{}",
        ended.stderr
    );
    check_log(&parse_log(&read_lines(&path, false).unwrap()).unwrap()).unwrap();
}
