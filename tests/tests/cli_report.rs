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

use portwatch_tests::{expect::log::peak_while_fed, harness::portwatch_binary, made_up::Log};
use serde_json::Value;
use tempfile::TempDir;

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

/// The report of these files, as JSON, and the messages about them.
fn json(arguments: &[&str]) -> (Value, String) {
    let output = command(&[&["--format", "json"], arguments].concat())
        .output()
        .unwrap();
    let stderr = text(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    (serde_json::from_slice(&output.stdout).unwrap(), stderr)
}

fn write(directory: &TempDir, name: &str, bytes: &[u8]) -> String {
    let path = directory.path().join(name);
    fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The first damage and the summary, in the words of `portwatch replay`.
#[test]
fn damage_is_told_as_replay_tells_it_and_the_rest_is_used() {
    let directory = TempDir::new().unwrap();
    let sound = log(300);
    let first = sound.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let second = first
        + sound[first..]
            .iter()
            .position(|byte| *byte == b'\n')
            .unwrap()
        + 1;
    let bytes = [
        &b"not json\n"[..],
        &sound[..first],
        b"{\"schema\":1,\"type\":\"att\n\n{\"schema\":9,\"type\":\"x\"}\n{\"level\":\"info\"}\n",
        // A record behind the remains of another.
        &sound[first..first + 99],
        &sound[first..second],
        &b"?\n".repeat(20),
        &sound[second..sound.len() - 20],
    ]
    .concat();
    let path = write(&directory, "log", &bytes);
    let (report, stderr) = json(&[&path]);
    assert_eq!(
        (&report["records"], &report["unreadable"]),
        (&299.into(), &26.into())
    );
    for expected in [
        ":1: not a record of portwatch; skipped",
        ":3: the line is damaged",
        ":5: a record of schema 9, and this portwatch reads schema 1: use",
        ":7: the line is damaged",
        ": and 16 problems more",
    ] {
        assert!(
            stderr.contains(&format!("{path}{expected}")),
            "{expected}: {stderr}"
        );
    }
    let replay = Command::new(portwatch_binary().unwrap())
        .args(["replay", &path])
        .stdout(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(stderr, text(&replay.stderr));
}

#[test]
fn a_rotated_set_is_one_log_and_one_run() {
    let directory = TempDir::new().unwrap();
    let whole = log(900);
    let all: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    // Each file begins with a `start` record, which has the number of the record before it.
    let start = |seq: usize| {
        let line = text(all[0]).replacen("\"seq\":1,", &format!("\"seq\":{seq},"), 1);
        line.replacen("\"boot_ns\":\"", "\"boot_ns\":\"9", 1)
            .into_bytes()
    };
    let oldest = write(&directory, "log.2", &all[..300].concat());
    let packed = Command::new("gzip").arg(&oldest).status().unwrap();
    assert!(packed.success());
    let oldest = format!("{oldest}.gz");
    let older = write(
        &directory,
        "log.1",
        &[start(300), all[300..600].concat()].concat(),
    );
    let newest = write(
        &directory,
        "log",
        &[start(600), all[600..].concat()].concat(),
    );
    let other = write(&directory, "whole", &whole);
    let (mut expected, nothing) = json(&[&other]);
    assert_eq!(nothing, "");
    expected["records"] = 902.into();
    for arguments in [
        vec!["--rotated", &newest[..]],
        vec![&newest, &oldest, &older],
    ] {
        let (report, stderr) = json(&arguments);
        assert_eq!(stderr, "", "{arguments:?}");
        assert!(report == expected, "{arguments:?}");
    }
    // A part alone can be read, too.
    let (_, stderr) = json(&[&newest]);
    assert_eq!(stderr, "");
    let (_, stderr) = json(&[&older]);
    assert!(
        stderr.contains("no `stop` record ends this run"),
        "{stderr}"
    );
}

#[test]
fn hosts_are_kept_apart() {
    let directory = TempDir::new().unwrap();
    let one = log(900);
    let other = text(&one)
        .replacen("\"host\":\"web1\"", "\"host\":\"web2\"", 1)
        .replacen("\"boot_id\":\"0", "\"boot_id\":\"1", 1);
    let (web1, web2) = (
        write(&directory, "web1", &one),
        write(&directory, "web2", other.as_bytes()),
    );
    let (alone, _) = json(&["--top", "1000", &web1]);
    let (both, stderr) = json(&["--top", "1000", &web1, &web2]);
    assert_eq!(stderr, "");
    assert_eq!(both["hosts"], serde_json::json!(["web1", "web2"]));
    for count in ["records", "attempts", "failures", "episode_count"] {
        assert_eq!(
            both[count].as_u64(),
            alone[count].as_u64().map(|count| 2 * count),
            "{count}"
        );
    }
    let rows_of = |report: &Value, table: &str, host: &str| -> Vec<Value> {
        let rows = report[table].as_array().unwrap().iter();
        let of_host = rows.filter(|row| row["host"] == host).cloned();
        of_host
            .map(|mut row| {
                row["host"] = Value::Null;
                row
            })
            .collect()
    };
    for table in ["by_port", "worst_blockers", "episodes"] {
        let rows = rows_of(&alone, table, "web1");
        assert!(rows.len() > 1, "{table}");
        assert_eq!(rows_of(&both, table, "web1"), rows, "{table}");
        assert_eq!(rows_of(&both, table, "web2"), rows, "{table}");
    }
}

#[test]
fn filters_are_those_of_replay() {
    let directory = TempDir::new().unwrap();
    let path = write(&directory, "log", &log(900));
    let (all, _) = json(&[&path]);
    let row = &all["by_port"][0];
    let port = row["port"].to_string();
    let (one, _) = json(&["-p", &port, &path]);
    assert_eq!(one["by_port"].as_array().unwrap().len(), 1);
    assert_eq!(one["failures"], row["failures"]);
    let middle = row["first"].as_str().unwrap();
    let (before, _) = json(&["--until", middle, &path]);
    let (since, _) = json(&["--since", middle, &path]);
    assert!(before["attempts"].as_u64() >= Some(1));
    let sum = before["attempts"].as_u64().unwrap() + since["attempts"].as_u64().unwrap();
    // The one at that moment is in both.
    assert_eq!(Some(sum), all["attempts"].as_u64().map(|all| all + 1));
    let (nothing, _) = json(&["--since", "2h", &path]);
    assert_eq!(nothing["attempts"], 0);
}

#[test]
fn what_is_no_log_is_refused() {
    let directory = TempDir::new().unwrap();
    let stranger = b"Nov 21 12:00:00 web1 sshd[7]: hello\n".repeat(50);
    let stranger = write(&directory, "syslog", &stranger);
    let empty = write(&directory, "empty", b"");
    let zstd = write(&directory, "log.zst", b"\x28\xb5\x2f\xfd");
    let page = directory.path().join("page.html");
    let page = page.to_str().unwrap();
    for (arguments, because) in [
        (
            &[&stranger[..]][..],
            "not a log of portwatch: 50 lines skipped",
        ),
        (
            &[&stranger, "--html", page],
            "there is no record of portwatch",
        ),
        (&[&empty], "there is no record of portwatch"),
        (&["-"], "there is no record of portwatch"),
        (&[&zstd], "zstdcat"),
        (&["/nonexistent/log"], "cannot read /nonexistent/log"),
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
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3);
}

/// What could be read is reported, but it was not all.
#[test]
fn a_file_that_cannot_be_read_to_its_end_is_an_error() {
    let directory = TempDir::new().unwrap();
    let path = write(&directory, "log", &log(900));
    assert!(Command::new("gzip").arg(&path).status().unwrap().success());
    let path = format!("{path}.gz");
    let packed = fs::read(&path).unwrap();
    fs::write(&path, &packed[..packed.len() / 2]).unwrap();
    let output = command(&["--format", "json", &path]).output().unwrap();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains(": cannot read on: "), "{stderr}");
    assert!(stderr.contains("not everything could be read"), "{stderr}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let records = report["records"].as_u64().unwrap();
    assert!((1..900).contains(&records), "{records}");
}

#[test]
fn memory_does_not_grow_with_the_log() {
    const MOST: u64 = 64 << 20;
    let child = command(&["-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let log = log(2000);
    let all: Vec<&[u8]> = log.split_inclusive(|byte| *byte == b'\n').collect();
    // Long arguments, so that much is read in few records.
    let arguments = format!("\"--serve{}\"", "x".repeat(50_000));
    let failure = all.iter().find(|line| text(line).contains("EADDRINUSE"));
    let failure = text(failure.unwrap()).replace("\"--serve\"", &arguments);
    let peak = peak_while_fed(child, all[0], &failure, 2 * MOST).unwrap();
    assert!(peak < MOST, "{peak} bytes");
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
