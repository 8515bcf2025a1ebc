//! Very many attempts: none is lost without being counted, and memory does not grow with them.

use std::process::Command;

use nix::sys::signal::Signal;
use portwatch_tests::{
    harness::{
        Run, can_trace, check_totals, parse_log, peak_memory, portwatch_binary, trace_command,
    },
    lab::ports::Claim,
    load::binds::Load,
};
use serde_json::Value;

const OF_EACH: u64 = 200_000;
/// What portwatch may need at its peak, in bytes.
const MEMORY: u64 = 128 * 1024 * 1024;

#[test]
fn four_hundred_thousand_binds() {
    if !can_trace() {
        return;
    }
    let (free, taken) = (Claim::new().unwrap(), Claim::new().unwrap());
    let (free, taken) = (free.port.to_string(), taken.port.to_string());
    let portwatch = portwatch_binary().unwrap();
    let ports = format!("{free},{taken}");
    let command = trace_command(&portwatch, &["--format", "json", "-p", &ports]);
    // Four hundred thousand records are only counted.
    let run = Run::start_keeping(command, |line| !is_attempt(line)).unwrap();
    run.wait_until_tracing().unwrap();

    let n = OF_EACH.to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_scenario"))
        .args(["load", &free, &taken, "--ok", &n, "--fail", &n])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let load: Load = serde_json::from_slice(&output.stdout).unwrap();
    let made = load.ok + load.failed + load.listens;

    let memory = peak_memory(run.pid()).unwrap();
    run.signal(Signal::SIGINT).unwrap();
    let ended = run.finish().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    let records = parse_log(&ended.stdout).unwrap();
    let stop = records.last().unwrap();
    assert_eq!(stop["type"], "stop");
    check_totals(stop).unwrap();
    assert!(
        stop["seen"].as_u64().unwrap() >= made,
        "{made} attempts: {stop}"
    );
    let lost: u64 = records.iter().filter_map(lost_attempts).sum();
    assert_eq!(
        ended.dropped + lost,
        made,
        "{} told, {lost} lost: {stop}",
        ended.dropped
    );
    assert!(memory < MEMORY, "{memory} bytes at the peak");
}

/// Names and values are quoted, so this cannot stand in one.
fn is_attempt(line: &[u8]) -> bool {
    const TYPE: &[u8] = b"\"type\":\"attempt\"";
    line.windows(TYPE.len()).any(|part| part == TYPE)
}

fn lost_attempts(record: &Value) -> Option<u64> {
    let counts = record["type"] == "lost" && record["kind"] == "attempt";
    counts.then(|| record["count"].as_u64()).flatten()
}
