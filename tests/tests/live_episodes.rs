//! Programs that try again and again: all of it is recorded, and told in a few lines.

use std::{net::TcpListener, process::Command};

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use portwatch_tests::{
    expect::{attempts_of, log},
    harness::{Run, Trace, can_trace, check_totals, portwatch_binary, trace_command},
    lab::ports::Claim,
    load::binds::Load,
};
use serde_json::Value;

const RETRIES: u64 = 10_000;

fn of_type<'a>(records: &'a [Value], kind: &str) -> Vec<&'a Value> {
    let is_of = |record: &&Value| record["type"] == kind;
    records.iter().filter(is_of).collect()
}

/// A process that takes a port, and asks for it again so often.
fn retry(free: u16, taken: u16) -> Result<Load> {
    let output = Command::new(env!("CARGO_BIN_EXE_scenario"))
        .args(["load", &free.to_string(), &taken.to_string(), "--fail"])
        .arg(RETRIES.to_string())
        .output()?;
    ensure!(output.status.success(), "{output:?}");
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[test]
fn ten_thousand_retries_are_one_episode_in_a_few_lines() {
    if !can_trace() {
        return;
    }
    let (free, taken) = (Claim::new().unwrap(), Claim::new().unwrap());
    let ports = format!("{},{}", free.port, taken.port);
    let portwatch = portwatch_binary().unwrap();
    let trace = Trace::start_with_text(&portwatch, &["-p", &ports]).unwrap();
    let text = Run::start(trace_command(
        &portwatch,
        &["--format", "text", "--failures", "-p", &ports],
    ))
    .unwrap();
    text.wait_until_tracing().unwrap();
    let load = retry(free.port, taken.port).unwrap();
    text.signal(Signal::SIGINT).unwrap();
    let text = text.finish().unwrap();
    let finished = trace.stop().unwrap();
    assert!(finished.ended.status.success(), "{:?}", finished.ended);
    log::check(&portwatch, &finished).unwrap();

    let records = &finished.records;
    let lost: u64 = of_type(records, "lost")
        .iter()
        .filter(|lost| lost["kind"] == "attempt")
        .filter_map(|lost| lost["count"].as_u64())
        .sum();
    let attempts = attempts_of(records, load.pid);
    let failures = attempts.iter().filter(|attempt| attempt["errno"] == 98);
    let failures: Vec<&Value> = failures.map(|attempt| &attempt["episode"]).collect();
    assert_eq!(
        attempts.len() as u64 + lost,
        load.ok + load.failed + load.listens
    );
    let [episode] = of_type(records, "episode")[..] else {
        panic!("{:?}", of_type(records, "episode"))
    };
    assert!(failures.iter().all(|id| **id == episode["id"]));
    assert_eq!(episode["attempts"], failures.len());
    if lost == 0 {
        assert_eq!(episode["attempts"], RETRIES);
        // It has ended, and nobody else has tried.
        assert_eq!(episode["outcome"], "gave_up");
    }
    assert_eq!(episode["by"].as_array().unwrap().len(), 1);
    assert_eq!(episode["by"][0]["owner"]["pid"], load.pid);

    assert!(text.status.success(), "{text:?}");
    let lines = String::from_utf8(text.stdout.join(&b'\n')).unwrap();
    assert!(lines.lines().count() < 20, "{lines}");
    assert!(lines.contains("EADDRINUSE, 1000 attempts in "), "{lines}");
    assert!(lines.contains("  gave up after "), "{lines}");
}

/// With failures alone, the end of an episode is still seen; what does not belong to one is left out.
#[test]
fn failures_alone_end_with_the_success() {
    if !can_trace() {
        return;
    }
    let (first, second) = (Claim::new().unwrap(), Claim::new().unwrap());
    let ours = std::process::id();
    let pid = ours.to_string();
    let arguments = ["--failures", "--pid", &pid];
    let trace = Trace::start(&portwatch_binary().unwrap(), &arguments).unwrap();
    let listen = |claim: &Claim| TcpListener::bind(("127.0.0.1", claim.port));
    let held = listen(&first).unwrap();
    listen(&first).unwrap_err();
    listen(&first).unwrap_err();
    // Whoever looks at open descriptors holds each of them for an instant, and would keep the port.
    let both = |records: &[Value]| {
        let failures = records.iter().filter(|record| record["errno"] == 98);
        (failures.count() == 2).then_some(())
    };
    trace.wait_until("records of the failures", both).unwrap();
    drop(held);
    listen(&first).unwrap();
    // No episode, though the port has had one.
    listen(&first).unwrap();
    let _held = listen(&second).unwrap();
    listen(&second).unwrap_err();
    trace
        .wait_for("failure", |record| {
            record["port"] == second.port && record["errno"] == 98
        })
        .unwrap();
    let finished = trace.stop().unwrap();
    let records = &finished.records;

    let told: Vec<_> = attempts_of(records, ours)
        .iter()
        .map(|attempt| (attempt["port"].clone(), attempt["result"].clone()))
        .collect();
    let expected = [
        (first.port, "EADDRINUSE"),
        (first.port, "EADDRINUSE"),
        (first.port, "ok"),
        (second.port, "EADDRINUSE"),
    ];
    let expected = expected.map(|(port, result)| (Value::from(port), Value::from(result)));
    assert_eq!(told, expected);
    let [bound, open] = of_type(records, "episode")[..] else {
        panic!("{:?}", of_type(records, "episode"))
    };
    assert_eq!(
        (&bound["outcome"], &bound["attempts"]),
        (&"bound".into(), &3.into())
    );
    assert_eq!(
        (&open["outcome"], &open["attempts"]),
        (&"open".into(), &1.into())
    );
    assert_eq!(open["by"][0]["owner"]["pid"], ours);
    let stop = records.last().unwrap();
    check_totals(stop).unwrap();
    assert_eq!(stop["submitted"], told.len());
}
