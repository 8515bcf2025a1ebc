//! Outputs that cannot be written, readers that go away, ends without warning, and names meant to deceive.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    net::TcpListener,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nix::{
    sys::{signal::Signal, stat::Mode},
    unistd::mkfifo,
};
use portwatch_tests::{
    harness::{Ended, Run, can_trace, check_log, parse_log, portwatch_binary, trace_command},
    lab::ports::Claim,
};

fn portwatch() -> PathBuf {
    portwatch_binary().unwrap()
}

fn trace(arguments: &[&str]) -> Command {
    trace_command(&portwatch(), arguments)
}

fn lines(log: &[u8]) -> Vec<&[u8]> {
    log.split_inclusive(|byte| *byte == b'\n').collect()
}

/// Tries to write to a path: portwatch must refuse with a sentence that says why.
#[track_caller]
fn assert_refused(path: &Path, arguments: &[&str], because: &str) {
    let mut command = trace(&["-o", path.to_str().unwrap(), "--duration", "1ms"]);
    command.args(arguments);
    let ended = Run::start(command).unwrap().finish().unwrap();
    assert_eq!(ended.code(), 2, "{}", ended.stderr);
    assert!(
        ended.stderr.contains(path.to_str().unwrap()),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains(because), "{}", ended.stderr);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}

#[test]
fn outputs_that_cannot_be() {
    if !can_trace() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let inside = |name: &str| directory.path().join(name);
    assert_refused(
        &inside("no/such/directory/log"),
        &[],
        "No such file or directory",
    );
    assert_refused(directory.path(), &[], "directory");
    assert_refused(directory.path(), &["--append"], "directory");
    assert_refused(Path::new("/dev/full"), &[], "device");

    fs::write(inside("old"), "precious\n").unwrap();
    assert_refused(&inside("old"), &[], "--append");
    mkfifo(&inside("fifo"), Mode::S_IRWXU).unwrap();
    assert_refused(&inside("fifo"), &["--append"], "named pipe");
    symlink(inside("old"), inside("link")).unwrap();
    assert_refused(&inside("link"), &[], "link");
    assert_refused(&inside("link"), &["--append"], "link");
    assert_eq!(fs::read(inside("old")).unwrap(), b"precious\n");
}

#[test]
fn a_file_is_private_and_can_be_added_to() {
    if !can_trace() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    for _ in 0..2 {
        let arguments = [
            "-o",
            path.to_str().unwrap(),
            "--append",
            "--duration",
            "1ms",
        ];
        let ended = Run::start(trace(&arguments)).unwrap().finish().unwrap();
        assert_eq!(ended.code(), 0, "{}", ended.stderr);
        assert!(ended.stdout.is_empty());
    }
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let log = fs::read(&path).unwrap();
    let records = parse_log(&lines(&log)).unwrap();
    let starts: Vec<usize> = (0..records.len())
        .filter(|&index| records[index]["type"] == "start")
        .collect();
    assert_eq!(starts.len(), 2);
    check_log(&records[..starts[1]]).unwrap();
    check_log(&records[starts[1]..]).unwrap();
}

/// Tracing goes on; the user hears of it once.
#[test]
fn a_full_disk_is_reported() {
    if !can_trace() {
        return;
    }
    let claim = Claim::new().unwrap();
    let mut command = trace(&["--format", "json", "-p", &claim.port.to_string()]);
    command.stdout(File::options().write(true).open("/dev/full").unwrap());
    let run = Run::start_with_own_stdout(command).unwrap();
    run.wait_until_tracing().unwrap();
    for _ in 0..10 {
        drop(TcpListener::bind(("127.0.0.1", claim.port)).unwrap());
    }
    run.wait_for_message("complaint", |line| line.contains("No space left"))
        .unwrap();
    run.signal(Signal::SIGINT).unwrap();
    let ended = run.finish().unwrap();
    let complaints = ended.stderr.matches("No space left").count();
    assert_eq!(complaints, 1, "{}", ended.stderr);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}

/// As in `portwatch trace | head -1`.
#[test]
fn a_reader_that_goes_away_is_a_normal_end() {
    if !can_trace() {
        return;
    }
    let claim = Claim::new().unwrap();
    let mut command = trace(&["--format", "json", "-p", &claim.port.to_string()]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut String::new()).unwrap();
    drop(stdout);
    drop(TcpListener::bind(("127.0.0.1", claim.port)).unwrap());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
}

/// Text has no control characters, whatever programs call themselves.
#[test]
fn hostile_names_in_text() {
    if !can_trace() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let scenario = env!("CARGO_BIN_EXE_scenario");
    let arguments = [
        "--format",
        "text",
        "-o",
        path.to_str().unwrap(),
        "--",
        scenario,
    ];
    let mut command = trace(&arguments);
    command.args(["run", "hostile-names"]);
    let Ended { status, stderr, .. } = Run::start(command).unwrap().finish().unwrap();
    assert!(status.success(), "{stderr}");
    let text = String::from_utf8(fs::read(&path).unwrap()).expect("UTF-8");
    assert!(text.contains("EADDRINUSE"), "{text}");
    let deceptive = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!text.contains(deceptive), "{text:?}");
    // A line of a name's own would begin with what follows the newline in it.
    assert!(
        !text
            .lines()
            .any(|line| line.starts_with("b\\") || line.starts_with("lines")),
        "{text}"
    );
}
