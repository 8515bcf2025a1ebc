//! The command line, above all that of `portwatch trace`: options, filters, ends and exit codes.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::{
    fs::{self, File},
    net::{TcpListener, UdpSocket},
    os::{fd::AsRawFd, unix::process::CommandExt},
    path::PathBuf,
    process::{Command, Output, id},
};

use nix::sys::signal::Signal;
use portwatch_core::model::verdict::Cause;
use portwatch_tests::{
    harness::{
        Ended, Finished, Run, Trace, can_trace, check_log, parse_log, portwatch_binary,
        trace_command,
    },
    lab::ports::Claim,
};
use serde_json::Value;

fn portwatch() -> PathBuf {
    portwatch_binary().unwrap()
}

fn run(arguments: &[&str]) -> Output {
    Command::new(portwatch()).args(arguments).output().unwrap()
}

#[track_caller]
fn assert_refused(arguments: &[&str], because: &str) {
    let output = run(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
    assert!(stderr.contains(because), "{arguments:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
}

fn attempts(finished: &Finished) -> Vec<&Value> {
    finished
        .records
        .iter()
        .filter(|record| record["type"] == "attempt")
        .collect()
}

/// A bind that succeeds, and one that fails: of this process, both on the port.
fn succeed_and_fail(port: u16) {
    let _holder = TcpListener::bind(("127.0.0.1", port)).unwrap();
    TcpListener::bind(("127.0.0.1", port)).unwrap_err();
}

#[test]
fn help_has_examples() {
    for (arguments, example) in [
        (&["--help"][..], "portwatch trace"),
        (&["trace", "--help"], "portwatch trace"),
        (&["explain", "--help"], "portwatch explain live-listener"),
    ] {
        let output = run(arguments);
        let help = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success());
        assert!(
            help.contains("Examples:") && help.contains(example),
            "{help}"
        );
    }
}

#[test]
fn wrong_arguments() {
    assert_refused(&["trace", "--no-such-flag"], "--no-such-flag");
    assert_refused(&["trace", "-p", "http"], "http");
    assert_refused(&["trace", "-p", "70000"], "70000");
    assert_refused(&["trace", "-p", "9000-8000"], "8000-9000");
    assert_refused(&["trace", "-p", "1,,2"], "port");
    assert_refused(&["trace", "--proto", "spx"], "spx");
    assert_refused(&["trace", "--pid", "0"], "0");
    assert_refused(&["trace", "--count", "0"], "0");
    assert_refused(&["trace", "--duration", "soon"], "soon");
    assert_refused(&["trace", "--format", "xml"], "xml");
    assert_refused(&["trace", "--append"], "--output");
    assert_refused(&["trace", "--rotate-size", "1M"], "--output");
    assert_refused(&["trace", "-o", "x", "--rotate-size", "1K"], "64K at least");
    assert_refused(&["trace", "-o", "x", "--rotate-age", "soon"], "12h");
    assert_refused(&["trace", "-o", "x", "--keep", "3"], "--rotate-size");
    assert_refused(&["no-such-command"], "no-such-command");
    assert_refused(&["explain", "no-such-cause"], "no-such-cause");
    // What is meant is said.
    assert_refused(&["explain", "live-listner"], "'live-listener'");
    assert_refused(&["explain", "time-wait", "self-connect"], "self-connect");
}

#[test]
fn every_cause_is_explained() {
    let list = run(&["explain"]);
    let list = String::from_utf8(list.stdout).unwrap();
    for cause in Cause::ALL {
        let id = cause.as_str();
        let listed = list
            .lines()
            .any(|line| line.starts_with(&format!("{id}  ")));
        assert!(listed, "{id}: {list}");
        let output = run(&["explain", id]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{id}");
        assert_eq!(text.lines().next(), Some(id));
        assert!(text.contains("\nWhat to do: "), "{text}");
        assert!(!text.contains('\x1b'), "{text:?}");
    }
    let coloured = run(&["explain", "policy", "--color", "always"]);
    assert!(coloured.stdout.starts_with(b"\x1b["));
}

/// The binary is run through a descriptor: its path may lie where only root may look.
#[test]
fn not_root() {
    let binary = File::open(portwatch()).unwrap();
    let mut command = Command::new(format!("/proc/self/fd/{}", binary.as_raw_fd()));
    command.arg("trace").current_dir("/");
    if nix::unistd::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("CAP_BPF") || stderr.contains("root"),
        "{stderr}"
    );
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
fn interrupted_or_terminated() {
    if !can_trace() {
        return;
    }
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let trace = Trace::start(&portwatch(), &[]).unwrap();
        trace.run().signal(signal).unwrap();
        let finished = trace.finish().unwrap();
        assert_eq!(
            finished.ended.code(),
            0,
            "{signal}: {}",
            finished.ended.stderr
        );
    }
}

#[test]
fn count() {
    if !can_trace() {
        return;
    }
    let claim = Claim::new().unwrap();
    let port = claim.port.to_string();
    let trace = Trace::start(&portwatch(), &["-p", &port, "--count", "2"]).unwrap();
    for _ in 0..3 {
        drop(TcpListener::bind(("127.0.0.1", claim.port)).unwrap());
    }
    let finished = trace.finish().unwrap();
    assert_eq!(finished.ended.code(), 0);
    assert_eq!(attempts(&finished).len(), 2);
}

#[test]
fn duration() {
    if !can_trace() {
        return;
    }
    let trace = Trace::start(&portwatch(), &["--duration", "200ms"]).unwrap();
    assert_eq!(trace.finish().unwrap().ended.code(), 0);
}

#[test]
fn filters() {
    if !can_trace() {
        return;
    }
    let (one, other) = (Claim::new().unwrap(), Claim::new().unwrap());
    let (port, pid) = (one.port.to_string(), id().to_string());
    let binds_of = |arguments: &[&str]| {
        let trace = Trace::start(&portwatch(), arguments).unwrap();
        succeed_and_fail(one.port);
        succeed_and_fail(other.port);
        drop(UdpSocket::bind(("127.0.0.1", one.port)).unwrap());
        let finished = trace.stop().unwrap();
        let ports = [one.port, other.port].map(Value::from);
        let of_ours = |record: &&&Value| record["op"] == "bind" && ports.contains(&record["port"]);
        let told = attempts(&finished);
        let told = told.iter().filter(of_ours);
        told.map(|record| {
            let by = if record["port"] == one.port {
                "one"
            } else {
                "other"
            };
            format!(
                "{} {by} {}",
                record["proto"].as_str().unwrap(),
                record["result"].as_str().unwrap()
            )
        })
        .collect::<Vec<_>>()
    };
    let all = [
        "tcp one ok",
        "tcp one EADDRINUSE",
        "tcp other ok",
        "tcp other EADDRINUSE",
        "udp one ok",
    ];
    assert_eq!(binds_of(&["--pid", &pid]), all);
    assert_eq!(binds_of(&["-p", &port]), [all[0], all[1], all[4]]);
    assert_eq!(binds_of(&["-p", &port, "--failures"]), [all[1]]);
    assert_eq!(binds_of(&["-p", &port, "--proto", "udp"]), [all[4]]);
    assert_eq!(
        binds_of(&["-p", &port, "--proto", "udp,tcp"]),
        [all[0], all[1], all[4]]
    );
    assert_eq!(binds_of(&["-p", &port, "--pid", "1"]), [""; 0]);
    // The kernel keeps the name of a thread, and this test is one.
    let thread = fs::read_to_string("/proc/thread-self/comm").unwrap();
    assert_eq!(
        binds_of(&["-p", &port, "--comm", thread.trim_end()]),
        [all[0], all[1], all[4]]
    );
    assert_eq!(binds_of(&["-p", &port, "--comm", "nobody"]), [""; 0]);
}

/// Runs a command under trace, with the records in a file. Gives them too.
fn trace_of(command: &[&str]) -> (Ended, Vec<Value>) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("log");
    let mut arguments = vec!["-o", file.to_str().unwrap(), "--"];
    arguments.extend(command);
    let ended = Run::start(trace_command(&portwatch(), &arguments))
        .unwrap()
        .finish()
        .unwrap();
    let log = fs::read(&file).unwrap_or_default();
    let lines: Vec<&[u8]> = log
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .collect();
    (ended, parse_log(&lines).unwrap())
}

#[test]
fn exit_code_of_the_command() {
    if !can_trace() {
        return;
    }
    for (script, code) in [
        ("exit 0", 0),
        ("exit 7", 7),
        ("kill -TERM $$", 143),
        ("kill -KILL $$", 137),
    ] {
        let (ended, records) = trace_of(&["/bin/sh", "-c", script]);
        assert_eq!(ended.code(), code, "{script}: {}", ended.stderr);
        check_log(&records).unwrap();
    }
}

#[test]
fn output_of_the_command_is_its_own() {
    if !can_trace() {
        return;
    }
    let (ended, _) = trace_of(&["/bin/sh", "-c", "echo out; echo err >&2"]);
    assert_eq!(ended.stdout, [b"out"]);
    assert!(ended.stderr.contains("err"), "{}", ended.stderr);
}

#[test]
fn command_that_cannot_be_run() {
    if !can_trace() {
        return;
    }
    let (ended, _) = trace_of(&["no-such-program"]);
    assert_eq!(ended.code(), 127, "{}", ended.stderr);
    assert!(ended.stderr.contains("no-such-program"), "{}", ended.stderr);
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let (ended, _) = trace_of(&[path]);
    assert_eq!(ended.code(), 126, "{}", ended.stderr);
    assert!(ended.stderr.contains(path), "{}", ended.stderr);
}

/// portwatch records the command's attempts from its very beginning.
#[test]
fn attempts_of_the_command() {
    if !can_trace() {
        return;
    }
    let (ended, records) = trace_of(&[env!("CARGO_BIN_EXE_scenario"), "run", "live-listener"]);
    assert_eq!(ended.code(), 0, "{}", ended.stderr);
    let truth: Value = serde_json::from_slice(&ended.stdout[0]).unwrap();
    for entry in truth["expect"].as_array().unwrap() {
        let told = |record: &&Value| {
            record["process"]["pid"] == entry["binder"]["pid"]
                && ["op", "port", "result"]
                    .iter()
                    .all(|name| record[name] == entry[name])
        };
        assert!(records.iter().any(|record| told(&record)), "{entry:#}");
    }
}
