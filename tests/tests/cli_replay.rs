//! The command line of `portwatch replay` and `portwatch generate`, on logs that are made here.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::{
    fs,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use portwatch_core::{
    model::record::{Body, Record},
    verdict::judge,
};
use portwatch_log::json::{from_line, to_line};
use portwatch_tests::{
    expect::log::{peak_while_fed, replay, validator},
    harness::portwatch_binary,
};
use serde_json::Value;
use tempfile::TempDir;

/// The log that the documentation shows, as the present portwatch judges it, in order.
fn records() -> Vec<Record> {
    let text = include_str!("../../docs/records.md");
    let lines = text.lines().filter(|line| line.starts_with("{\"schema\""));
    let mut records: Vec<Record> = lines.map(|line| from_line(line).unwrap()).collect();
    records.sort_by_key(|record| record.seq);
    for record in &mut records {
        if let Body::Attempt(attempt) = &mut record.body {
            judge(attempt);
        }
    }
    records
}

fn lines(records: &[Record]) -> Vec<Vec<u8>> {
    let line = |record| {
        let mut line = Vec::new();
        to_line(record, &mut line);
        line
    };
    records.iter().map(line).collect()
}

fn log() -> Vec<u8> {
    lines(&records()).concat()
}

fn portwatch() -> PathBuf {
    portwatch_binary().unwrap()
}

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(portwatch());
    command.args(arguments).env("TZ", "UTC");
    command.output().unwrap()
}

fn from_stdin(arguments: &[&str], log: &[u8]) -> Output {
    replay(&portwatch(), arguments, log).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[track_caller]
fn assert_sound(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(text(&output.stderr), "");
}

fn write(dir: &TempDir, name: &str, bytes: &[u8]) -> String {
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_log_is_told_again() {
    let dir = TempDir::new().unwrap();
    let path = write(&dir, "log.jsonl", &log());
    let output = run(&["replay", &path]);
    assert_sound(&output);
    let told = text(&output.stdout);
    let begins = "-- 2026-11-21 12:03:12 +00:00, web1, Linux 6.12.48-cloud-amd64 x86_64, portwatch 0.1.0 --\n";
    assert!(told.starts_with(begins), "{told}");
    assert!(
        told.contains("  cause    live-listener: java[977]"),
        "{told}"
    );
    let end = told.lines().last().unwrap();
    assert!(end.contains("failed: 1 live-listener"), "{told}");
    assert_eq!(from_stdin(&[], &log()).stdout, output.stdout);
    let json = from_stdin(&["--format", "json"], &log());
    assert_sound(&json);
    assert_eq!(json.stdout, log());
}

#[test]
fn a_last_line_that_is_cut_off_is_told_and_the_others_are_used() {
    let dir = TempDir::new().unwrap();
    let log = log();
    let path = write(&dir, "log.jsonl", &log[..log.len() - 20]);
    let output = run(&["replay", &path]);
    assert_eq!(output.status.code(), Some(0));
    let stderr = text(&output.stderr);
    let number = records().len();
    assert!(
        stderr.contains(&format!("{path}:{number}: the last line is cut off")),
        "{stderr}"
    );
    assert!(stderr.contains("1 line skipped: 1 cut off"), "{stderr}");
    let whole = lines(&records())[..number - 1].concat();
    assert_eq!(output.stdout, from_stdin(&[], &whole).stdout);
    assert!(text(&from_stdin(&[], &whole).stderr).contains("no `stop` record ends this run"));
}

#[test]
fn damage_and_strangers_are_told_with_their_lines() {
    let sound = lines(&records());
    let odd: [(&[u8], &str); 6] = [
        (
            b"{\"schema\":1,\"type\":\"att\n",
            "-:2: the line is damaged",
        ),
        (
            b"{\"schema\":9,\"type\":\"x\"}\n",
            "-:3: a record of schema 9, and this portwatch reads schema 1: use",
        ),
        (
            b"{\"schema\":1,\"type\":\"tide\"}\n",
            "-:4: a record of type \"tide\"",
        ),
        (b"{\"level\":\"info\"}\n", "-:5: not a record of portwatch"),
        (b"\x1b[31m\xff\n", "-:6: not a record of portwatch"),
        (
            b"{\"schema\":1,\"type\":\"lost\"}\n",
            "-:7: a record that this version of portwatch cannot read: missing field",
        ),
    ];
    let mut bytes = sound[0].clone();
    for (line, _) in odd {
        bytes.extend_from_slice(line);
    }
    bytes.extend(sound[1..].concat());
    let output = from_stdin(&[], &bytes);
    assert_eq!(output.status.code(), Some(0));
    let stderr = text(&output.stderr);
    for (_, expected) in odd {
        assert!(stderr.contains(expected), "{expected}: {stderr}");
    }
    assert!(
        stderr.ends_with("6 lines skipped: 1 damaged, 2 not of portwatch, 3 of another version\n"),
        "{stderr}"
    );
    assert!(!stderr.contains('\x1b'), "{stderr}");
    assert_eq!(output.stdout, from_stdin(&[], &log()).stdout);
}

#[test]
fn what_is_no_log_is_an_error() {
    let dir = TempDir::new().unwrap();
    let path = write(&dir, "other.log", &b"{\"level\":\"info\"}\n".repeat(50));
    let sound = write(&dir, "log.jsonl", &log());
    let empty = write(&dir, "empty", b"");
    let nothing = dir.path().join("nothing").display().to_string();
    let here = dir.path().display().to_string();
    for (arguments, because) in [
        (
            vec!["replay", &path],
            "not a log of portwatch: 50 lines skipped",
        ),
        (vec!["replay", &path], "and 40 problems more"),
        (vec!["replay", &empty], "no record of portwatch"),
        (vec!["replay", &sound, &nothing], "cannot read"),
        (vec!["replay", &sound, &here], "is a directory"),
        (vec!["replay"], "<FILE>"),
        (vec!["replay", "--since", "soon", &sound], "not a time"),
    ] {
        let output = run(&arguments);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(because), "{arguments:?}: {stderr}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_rotated_set_is_one_log() {
    let dir = TempDir::new().unwrap();
    let all = lines(&records());
    // Each file begins with a `start` record, which has the number of the record before it.
    let start = |seq: usize| {
        let line = text(&all[0]);
        line.replacen("\"seq\":1,", &format!("\"seq\":{seq},"), 1)
            .into_bytes()
    };
    let write = |name: &str, bytes: &[u8]| write(&dir, name, bytes);
    let oldest = write("log.jsonl.2", &all[..3].concat());
    let older = write("log.jsonl.1", &[start(3), all[3..5].concat()].concat());
    let newest = write("log.jsonl", &[start(5), all[5..].concat()].concat());
    let whole = from_stdin(&[], &log());
    for arguments in [
        vec!["replay", &newest, &older, &oldest],
        vec!["replay", &oldest, &newest, &older],
        vec!["replay", "--rotated", &newest],
    ] {
        let output = run(&arguments);
        assert_sound(&output);
        assert_eq!(text(&output.stdout), text(&whole.stdout), "{arguments:?}");
    }
    let alone = run(&["replay", &newest]);
    assert_sound(&alone);
    assert!(text(&alone.stdout).starts_with("-- 2026-11-21 12:03:12"));
}

#[test]
fn hosts_are_merged_by_time_and_named() {
    let dir = TempDir::new().unwrap();
    let mut other = records();
    for record in &mut other {
        record.time = record.time.replacen("12:0", "11:0", 1);
        if let Body::Start(start) = &mut record.body {
            start.host = "db-primary".to_owned();
        }
    }
    let web = write(&dir, "web", &log());
    let db = write(&dir, "db", &lines(&other).concat());
    let output = run(&["replay", &web, &db]);
    assert_sound(&output);
    let told = text(&output.stdout);
    let host = |line: &str| line.split(" | ").next().unwrap().trim_end().to_owned();
    let mut hosts: Vec<String> = told.lines().map(host).collect();
    hosts.dedup();
    assert_eq!(hosts, ["db-primary", "web1"], "{told}");
}

#[test]
fn filters() {
    let count = |arguments: &[&str]| {
        let mut all = vec!["--format", "json"];
        all.extend(arguments);
        let output = from_stdin(&all, &log());
        assert_sound(&output);
        let lines = text(&output.stdout);
        lines
            .lines()
            .map(|line| {
                serde_json::from_str::<Value>(line).unwrap()["type"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(count(&["-p", "1-1000"]), ["start", "lost", "stop"]);
    assert_eq!(count(&["-p", "8080"]).len(), records().len());
    let failures = count(&["--failures"]);
    assert_eq!(failures.iter().filter(|kind| *kind == "attempt").count(), 1);
    assert_eq!(count(&["--until", "2026-11-21T12:03:13Z"]), ["start"]);
    assert_eq!(
        count(&["--since", "2026-11-21 12:05"]),
        ["start", "episode", "stop"]
    );
}

#[test]
fn what_is_judged_otherwise_is_listed() {
    let sound = from_stdin(&["--recheck"], &log());
    assert_eq!(sound.status.code(), Some(0), "{sound:?}");
    assert!(sound.stdout.is_empty());
    assert!(text(&sound.stderr).contains("1 failure judged again: no difference"));

    let changed =
        text(&log()).replacen("\"cause\":\"live-listener\"", "\"cause\":\"time-wait\"", 1);
    let output = from_stdin(&["--recheck"], changed.as_bytes());
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stdout),
        "-:3: seq 3, verdict.cause: recorded \"time-wait\", now \"live-listener\"\n"
    );
    assert!(text(&output.stderr).contains("1 failure judged again: 1 of them differ, in 1 fields"));
    let output = from_stdin(&["--recheck", "--format", "json"], changed.as_bytes());
    let line: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(line["path"], "verdict.cause");
    assert_eq!(line["line"], 3);
}

/// Starts a replay of standard input.
fn start(stdout: Stdio) -> std::process::Child {
    Command::new(portwatch())
        .args(["replay", "-"])
        .stdin(Stdio::piped())
        .stdout(stdout)
        .spawn()
        .unwrap()
}

#[test]
fn memory_does_not_grow_with_the_log() {
    const MOST: u64 = 40 << 20;
    let all = lines(&records());
    // Long arguments, so that much is read in few records.
    let long = format!("\"server.js{}\"", "x".repeat(100_000));
    let failure = text(&all[2]).replacen("\"server.js\"", &long, 1);
    let peak = peak_while_fed(start(Stdio::null()), &all[0], &failure, 2 * MOST).unwrap();
    assert!(peak < MOST, "{peak} bytes");
}

#[test]
fn a_reader_that_goes_is_a_normal_end() {
    let mut child = start(Stdio::piped());
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let log = log();
    stdin.write_all(&log).unwrap();
    let writer = std::thread::spawn(move || {
        // It ends when nobody reads any more.
        while stdin.write_all(&log).is_ok() {}
    });
    let mut first = [0; 10];
    stdout.read_exact(&mut first).unwrap();
    drop(stdout);
    assert!(child.wait().unwrap().success());
    writer.join().unwrap();
}

#[test]
fn the_schema_is_that_of_the_documentation_and_allows_what_is_recorded() {
    let output = run(&["generate", "schema"]);
    assert_sound(&output);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schema.json");
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    let documented: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    assert!(
        schema == documented,
        "portwatch generate schema > docs/schema.json"
    );
    let validator = validator().unwrap();
    for line in lines(&records()) {
        let line = serde_json::from_slice(&line).unwrap();
        assert!(validator.is_valid(&line), "{line}");
    }
}

#[test]
fn completions_and_manual_pages() {
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&["generate", "completions", shell]);
        assert_sound(&output);
        assert!(text(&output.stdout).contains("replay"), "{shell}");
    }
    let page = run(&["generate", "man"]);
    assert_sound(&page);
    assert!(text(&page.stdout).contains(".TH portwatch 1"));
    let dir = TempDir::new().unwrap();
    assert_sound(&run(&[
        "generate",
        "man",
        "--dir",
        dir.path().to_str().unwrap(),
    ]));
    assert!(dir.path().join("portwatch-replay.1").exists());
}

#[test]
fn a_full_disk_is_said_to_be_that_of_the_output() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    fs::write(&path, log()).unwrap();
    let path = path.to_str().unwrap();
    for arguments in [
        &["replay", path][..],
        &["generate", "schema"],
        &["explain", "time-wait"],
    ] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = Command::new(portwatch())
            .args(arguments)
            .stdout(full)
            .output()
            .unwrap();
        let said = text(&output.stderr);
        let expected = "portwatch: cannot write to standard output: No space left";
        assert!(said.contains(expected), "{arguments:?}: {said}");
        assert_eq!(output.status.code(), Some(2));
    }
}
