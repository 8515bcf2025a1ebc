//! The command line of `portwatch report`: what it reads, what it refuses, and what it says of damage.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::{
    fs,
    io::Write,
    process::{Command, Output, Stdio},
};

use portwatch_tests::{harness::portwatch_binary, story::Log};
use serde_json::Value;

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(portwatch_binary().unwrap());
    command.arg("report").args(arguments).env("TZ", "UTC");
    command
}

fn log(records: u64) -> Vec<u8> {
    let mut log = Vec::new();
    Log::of(records).write(&mut log).unwrap();
    log
}

/// The report of what is on standard input.
fn report(arguments: &[&str], log: &[u8]) -> Output {
    let mut child = command(&[arguments, &["-"]].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(log).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn text_has_colours_only_where_they_are_wanted() {
    let log = log(300);
    let plain = report(&[], &log);
    assert!(plain.status.success());
    assert!(plain.stderr.is_empty(), "{}", text(&plain.stderr));
    let plain = text(&plain.stdout);
    assert!(
        plain.contains("Timelines") && !plain.contains('\x1b'),
        "{plain}"
    );
    let coloured = text(&report(&["--color", "always"], &log).stdout);
    assert!(coloured.contains("\x1b["));
}

#[test]
fn characters_follow_the_locale_and_lanes_the_width() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    fs::write(&path, log(300)).unwrap();
    for (locale, is_ascii) in [("C", true), ("C.UTF-8", false)] {
        let output = command(&["--width", "60"])
            .arg(&path)
            .env("LC_ALL", locale)
            .output()
            .unwrap();
        let text = text(&output.stdout);
        assert_eq!(text.is_ascii(), is_ascii, "{text}");
        let lanes: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with("  held "))
            .collect();
        assert!(lanes.len() >= 3, "{text}");
        assert!(
            lanes.iter().all(|lane| lane.chars().count() <= 60),
            "{text}"
        );
    }
}

#[test]
fn json_adds_up() {
    let output = report(&["--format", "json"], &log(2000));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let causes = report["by_cause"].as_array().unwrap();
    let sum: u64 = causes
        .iter()
        .map(|row| row["failures"].as_u64().unwrap())
        .sum();
    assert_eq!(report["failures"], sum);
    assert_eq!(report["records"], 2000);
    assert_eq!(report["not_kept"], 0);
}

#[test]
fn damage_is_told_and_the_rest_is_used() {
    let mut log = log(300);
    let cut = log.len() - 20;
    log.truncate(cut);
    log.splice(0..0, *b"not json\n");
    let output = report(&["--format", "json"], &log);
    assert!(output.status.success());
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("standard input, line 1: not a record of portwatch"),
        "{stderr}"
    );
    assert!(
        stderr.contains("line 301: the last line is cut off"),
        "{stderr}"
    );
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&report["records"], &report["unreadable"]),
        (&299.into(), &2.into())
    );
}

#[test]
fn what_is_no_log_is_refused() {
    let output = report(&[], b"Nov 21 12:00:00 web1 sshd[7]: hello\n");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no line is a record of portwatch"));
    for (arguments, because) in [
        (&["/nonexistent/log"][..], "cannot read /nonexistent/log"),
        (&["/tmp"], "is a directory"),
        (&[], "required arguments"),
        (&["--cause", "gremlins", "-"], "there are live-listener"),
        (&["--force", "-"], "--html"),
        (&["--since", "noon", "-"], "not a time"),
    ] {
        let output = command(arguments).stdin(Stdio::null()).output().unwrap();
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(because), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_reader_that_goes_away_is_a_normal_end() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    fs::write(&path, log(300)).unwrap();
    let output = command(&[])
        .arg(&path)
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn the_files_of_a_log_are_one_log() {
    let directory = tempfile::tempdir().unwrap();
    let log = log(900);
    let lines: Vec<&[u8]> = log.split_inclusive(|byte| *byte == b'\n').collect();
    let at = |name| directory.path().join(name);
    for (name, from) in [("log.2", 1), ("log.1", 300), ("log", 600)] {
        // Each file begins with a `start` record, which has the number of the one before the next.
        let mut start: Value = serde_json::from_slice(lines[0]).unwrap();
        start["seq"] = from.into();
        let part = &lines[from..from - from % 300 + 300];
        fs::write(at(name), format!("{start}\n").into_bytes()).unwrap();
        let mut file = fs::File::options().append(true).open(at(name)).unwrap();
        file.write_all(&part.concat()).unwrap();
    }
    let packed = Command::new("gzip").arg(at("log.2")).status().unwrap();
    assert!(packed.success());
    // The first line says how many records there are: here two of `start` more.
    let below = |report: &[u8]| text(report).split_once('\n').unwrap().1.to_owned();
    let whole = below(&report(&[], &log).stdout);
    let parts = ["log", "log.1", "log.2.gz"].map(at);
    for (arguments, files) in [(&["--rotated"][..], &parts[..1]), (&[], &parts)] {
        let output = command(arguments).args(files).output().unwrap();
        assert_eq!(text(&output.stderr), "");
        assert_eq!(below(&output.stdout), whole, "{arguments:?}");
    }
}

#[test]
fn a_page_does_not_replace_a_log() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    fs::write(&path, log(50)).unwrap();
    let other = directory
        .path()
        .join("../")
        .join(directory.path().file_name().unwrap());
    let output = command(&["--force", "--html"])
        .args([&other.join("log"), &path])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("is one of the logs"), "{said}");
    assert_eq!(fs::read(&path).unwrap(), log(50));
}
