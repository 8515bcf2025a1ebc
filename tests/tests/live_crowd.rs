//! A million processes and a million connections: memory is bounded, and what had to be forgotten for it is counted.

use std::{
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::Command,
};

use nix::sys::signal::Signal;
use portwatch_common::maps::OWNER_SLOTS;
use portwatch_tests::{
    harness::{
        Run, can_trace, check_totals, parse_log, peak_memory, portwatch_binary, trace_command,
    },
    lab::ports::Claim,
};
use serde_json::Value;

const OF_EACH: u64 = 1_000_000;
/// What portwatch may need at its peak, in bytes.
const MEMORY: u64 = 128 * 1024 * 1024;

#[test]
fn a_million_processes_and_connections() {
    if !can_trace() {
        return;
    }
    let (watched, crowded) = (Claim::new().unwrap(), Claim::new().unwrap());
    let portwatch = portwatch_binary().unwrap();
    let ports = watched.port.to_string();
    let run = Run::start(trace_command(
        &portwatch,
        &["--format", "json", "-p", &ports],
    ))
    .unwrap();
    run.wait_until_tracing().unwrap();

    let n = OF_EACH.to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_scenario"))
        .args(["crowd", &crowded.port.to_string()])
        .args(["--processes", &n, "--connections", &n])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");

    // It tells as well as ever, of us, who were there before all of them.
    let address = (Ipv4Addr::LOCALHOST, watched.port);
    let listener = TcpListener::bind(address).unwrap();
    TcpListener::bind(address).unwrap_err();
    let connection = TcpStream::connect(address).unwrap();
    drop((connection, listener));

    let memory = peak_memory(run.pid()).unwrap();
    run.signal(Signal::SIGINT).unwrap();
    let ended = run.finish().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    let records = parse_log(&ended.stdout).unwrap();
    let stop = records.last().unwrap();
    check_totals(stop).unwrap();
    let us = u64::from(std::process::id());
    let refused: Vec<&Value> = records
        .iter()
        .filter(|record| record["result"] == "EADDRINUSE")
        .collect();
    let [refused] = refused[..] else {
        panic!("{refused:?}")
    };
    assert_eq!(refused["process"]["pid"], us);
    assert_eq!(refused["blockers"][0]["owner"]["pid"], us);

    let evicted = |kind: &str| stop["evicted"][kind].as_u64().unwrap();
    assert!(
        evicted("owners") >= OF_EACH - u64::from(OWNER_SLOTS),
        "each connection has an owner, and so many owners are kept: {stop}"
    );
    let lost: u64 = records.iter().filter_map(lost_processes).sum();
    let kept = portwatch_core::memory::processes::CAPACITY as u64;
    assert!(
        evicted("processes") + lost + kept >= OF_EACH,
        "{lost} lost, {kept} kept: {stop}"
    );
    assert!(memory < MEMORY, "{memory} bytes at the peak");
}

fn lost_processes(record: &Value) -> Option<u64> {
    let counts = record["type"] == "lost" && record["kind"] == "process";
    counts.then(|| record["count"].as_u64()).flatten()
}
