//! Log files: several at once, rotation, and what logrotate does with them.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::{
    fs::{self, File},
    net::TcpListener,
    os::{
        fd::AsFd,
        unix::fs::{OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    process::{Command, Output},
};

use nix::{
    fcntl::OFlag,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    pty::{grantpt, posix_openpt, ptsname_r, unlockpt},
    sys::signal::Signal,
};
use portwatch_tests::{
    harness::{
        Ended, Run, can, can_trace, check_file, check_log, parse_log, patience, portwatch_binary,
        read_file, read_lines, trace_command, wait_for_files,
    },
    lab::ports::Claim,
};
use serde_json::Value;
use tempfile::TempDir;

/// A run that writes to files of one directory, and a port that it traces.
struct Logging {
    directory: TempDir,
    claim: Claim,
    run: Run,
}

impl Logging {
    /// The names of files are those behind `-o`.
    fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, |_| ())
    }

    fn start_with(arguments: &[&str], prepare: impl FnOnce(&mut Command)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let claim = Claim::new().unwrap();
        let mut command = trace_command(&portwatch_binary().unwrap(), arguments);
        command
            .args(["-p", &claim.port.to_string()])
            .current_dir(directory.path());
        prepare(&mut command);
        let run = Run::start(command).unwrap();
        run.wait_until_tracing().unwrap();
        Self {
            directory,
            claim,
            run,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn bind(&self) {
        drop(TcpListener::bind(("127.0.0.1", self.claim.port)).unwrap());
    }

    /// Binds, until there is what is waited for.
    fn bind_until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        wait_for_files(self.directory.path(), what, || {
            self.bind();
            is_so()
        })
        .unwrap();
    }

    fn stop(self) -> (Ended, TempDir) {
        self.run.signal(Signal::SIGINT).unwrap();
        (self.run.finish().unwrap(), self.directory)
    }
}

fn attempts(records: &[Value]) -> usize {
    let is_attempt = |record: &&Value| record["type"] == "attempt";
    records.iter().filter(is_attempt).count()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn text_and_json_at_once() {
    if !can_trace() {
        return;
    }
    let logging = Logging::start(&["-o", "log.jsonl", "-o", "log.txt", "-o", "-"]);
    logging.bind();
    logging.bind();
    let (ended, directory) = logging.stop();
    assert_eq!(ended.code(), 0, "{ended:?}");
    let at = |name| directory.path().join(name);
    let records = parse_log(&read_lines(&at("log.jsonl"), false).unwrap()).unwrap();
    check_log(&records).unwrap();
    assert_eq!(attempts(&records), 4, "two binds, two listens");
    let text = fs::read(at("log.txt")).unwrap();
    let printed = ended.stdout.join(&b'\n');
    assert_eq!(text, [&printed[..], b"\n"].concat(), "in the same words");
    assert_eq!(
        String::from_utf8_lossy(&text).matches("  bind  ").count(),
        2
    );
    for name in ["log.jsonl", "log.txt"] {
        assert_eq!(mode(&at(name)), 0o600);
    }
    assert!(
        ended.stderr.contains("4 in log.jsonl and log.txt, 0 lost"),
        "{}",
        ended.stderr
    );
}

/// A start that fails leaves no file behind, not even of the outputs that could be opened.
#[test]
fn all_outputs_or_none() {
    if !can_trace() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    for (second, why) in [
        ("log.jsonl", "given twice"),
        ("no/such/log", "No such file"),
        ("./log.jsonl", "are the same file"),
    ] {
        let mut command = trace_command(&portwatch_binary().unwrap(), &["-o", "log.jsonl"]);
        command.args(["-o", second]).current_dir(directory.path());
        let ended = Run::start(command).unwrap().finish().unwrap();
        assert_eq!(ended.code(), 2, "{ended:?}");
        assert!(ended.stderr.contains(why), "{ended:?}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}

#[test]
fn files_of_a_size() {
    if !can_trace() {
        return;
    }
    let logging = Logging::start(&["-o", "log.jsonl", "--rotate-size", "64K", "--keep", "3"]);
    // The fourth older file is never there: three times more than that is written.
    let mut rotations = 0;
    let mut newest = String::new();
    logging.bind_until("tenth file", || {
        let first = fs::read_to_string(logging.path("log.jsonl"));
        let first: String = first.unwrap_or_default().lines().take(1).collect();
        if first != newest {
            newest = first;
            rotations += 1;
        }
        rotations == 10
    });
    let (ended, directory) = logging.stop();
    assert_eq!(ended.code(), 0, "{ended:?}");
    let names = ["log.jsonl.3", "log.jsonl.2", "log.jsonl.1", "log.jsonl"];
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), names.len());
    let mut whole = Vec::new();
    for name in names {
        let path = directory.path().join(name);
        assert!(fs::metadata(&path).unwrap().len() <= 64 * 1024);
        assert_eq!(mode(&path), 0o600);
        let (records, missing) = read_file(&path, false).unwrap();
        assert_eq!(missing, 0);
        if !whole.is_empty() {
            let last: &Value = whole.last().unwrap();
            assert_eq!(last["seq"], records[0]["seq"], "the next file goes on");
        }
        whole.extend(records.into_iter().skip(usize::from(!whole.is_empty())));
    }
    check_file(&whole).unwrap();
    assert_eq!(whole.last().unwrap()["type"], "stop");
}

#[test]
fn files_of_an_age() {
    if !can_trace() {
        return;
    }
    let logging = Logging::start(&["-o", "log.jsonl", "--rotate-age", "1s", "--keep", "1"]);
    logging.bind_until("older file", || logging.path("log.jsonl.1").exists());
    let (ended, directory) = logging.stop();
    assert_eq!(ended.code(), 0, "{ended:?}");
    for name in ["log.jsonl.1", "log.jsonl"] {
        read_file(&directory.path().join(name), false).unwrap();
    }
}

fn logrotate(logging: &Logging, settings: &str) -> Option<()> {
    let there = Command::new("logrotate").arg("--version").output().is_ok();
    if !can("logrotate is not installed", there) {
        return None;
    }
    let path = logging.path("log.jsonl");
    let settings = format!("\"{}\" {{\nrotate 3\n{settings}\n}}\n", path.display());
    let (of_logrotate, state) = (logging.path("logrotate.conf"), logging.path("state"));
    fs::write(&of_logrotate, settings).unwrap();
    let output: Output = Command::new("logrotate")
        .args(["--force", "--state"])
        .args([&state, &of_logrotate])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    Some(())
}

#[test]
fn logrotate_moves_the_file_and_sends_a_signal() {
    if !can_trace() {
        return;
    }
    let logging = Logging::start(&["-o", "log.jsonl"]);
    let path = logging.path("log.jsonl");
    for _ in 0..2 {
        let before = fs::metadata(&path).unwrap().len();
        logging.bind_until("record", || fs::metadata(&path).unwrap().len() > before);
        let signal = format!("kill -HUP {}", logging.run.pid());
        let settings = format!("create 0640\npostrotate\n{signal}\nendscript");
        let Some(()) = logrotate(&logging, &settings) else {
            return;
        };
        assert_eq!(mode(&path), 0o640, "as logrotate makes it");
        logging.bind_until("record", || fs::metadata(&path).unwrap().len() > 0);
    }
    let (ended, directory) = logging.stop();
    assert_eq!(ended.code(), 0, "{ended:?}");
    let mut last = Value::Null;
    for name in ["log.jsonl.2", "log.jsonl.1", "log.jsonl"] {
        let (records, missing) = read_file(&directory.path().join(name), false).unwrap();
        assert_eq!(missing, 0);
        if !last.is_null() {
            assert_eq!(records[0]["seq"], last, "the next file goes on");
        }
        last = records.last().unwrap()["seq"].clone();
    }
}

#[test]
fn logrotate_copies_the_file_and_cuts_it_off() {
    if !can_trace() {
        return;
    }
    let logging = Logging::start(&["-o", "log.jsonl"]);
    let path = logging.path("log.jsonl");
    let before = fs::metadata(&path).unwrap().len();
    logging.bind_until("record", || fs::metadata(&path).unwrap().len() > before);
    let Some(()) = logrotate(&logging, "copytruncate") else {
        return;
    };
    logging.bind_until("record", || fs::metadata(&path).unwrap().len() > 0);
    let (ended, directory) = logging.stop();
    assert_eq!(ended.code(), 0, "{ended:?}");
    for name in ["log.jsonl.1", "log.jsonl"] {
        let path = directory.path().join(name);
        assert!(!fs::read(&path).unwrap().contains(&0), "a hole");
        // What was written between its copying and its cutting is gone, as logrotate says of copytruncate.
        read_file(&path, name == "log.jsonl.1").unwrap();
    }
}

#[test]
fn a_hangup_without_files_is_no_end() {
    if !can_trace() {
        return;
    }
    let logging = Logging::start(&["--format", "json"]);
    logging.run.signal(Signal::SIGHUP).unwrap();
    logging
        .run
        .wait_for_message("answer to SIGHUP", |line| {
            line.contains("there is no log file to open again; tracing goes on")
        })
        .unwrap();
    logging.bind();
    let (ended, _) = logging.stop();
    assert_eq!(ended.code(), 0, "{ended:?}");
    let records = parse_log(&ended.stdout).unwrap();
    check_log(&records).unwrap();
    assert_eq!(attempts(&records), 2);
}

/// The terminal is closed: that is the end, whether there are files or not.
#[test]
fn a_terminal_that_is_gone_is_the_end() {
    if !can_trace() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    // Not openpty(), whose descriptors every child of this process would have.
    let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let terminal = File::options()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY)
        .open(ptsname_r(&master).unwrap())
        .unwrap();
    let path = directory.path().join("log.jsonl");
    let mut command = trace_command(&portwatch_binary().unwrap(), &[]);
    let same_terminal = terminal.try_clone().unwrap();
    command.arg("-o").arg(&path).stdout(terminal);
    let run = Run::start_with_own_stdout(command).unwrap();
    run.wait_until_tracing().unwrap();
    drop(master);
    // A process that another test makes has it too, until it runs its program.
    let mut hangup = [PollFd::new(same_terminal.as_fd(), PollFlags::empty())];
    let patience = PollTimeout::try_from(patience()).unwrap();
    assert_eq!(poll(&mut hangup, patience), Ok(1));
    run.signal(Signal::SIGHUP).unwrap();
    let ended = run.finish().unwrap();
    assert_eq!(ended.code(), 0, "{ended:?}");
    check_log(&read_file(&path, false).unwrap().0).unwrap();
}
