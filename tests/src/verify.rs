//! Plays a scenario while portwatch watches, and compares.

use std::{
    io::{BufRead, BufReader, Write},
    net::UdpSocket,
    path::PathBuf,
    process::{Command, Stdio, id},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{
    check::{attempts_of, compare},
    harness::Trace,
    lab::Stop,
    truth::Truth,
};

/// What is run.
#[derive(Clone, Debug)]
pub struct Verifier {
    /// The portwatch binary.
    pub portwatch: PathBuf,
    /// The scenario binary.
    pub scenarios: PathBuf,
    /// More arguments for `portwatch trace`.
    pub arguments: Vec<String>,
}

/// What came of a scenario.
#[derive(Debug)]
pub struct Outcome {
    /// Why it could not be played here.
    pub skipped: Option<String>,
    /// What portwatch did not tell, or told wrongly.
    pub problems: Vec<String>,
}

impl Outcome {
    fn new(truth: Truth, log: &[Value], first: usize) -> Self {
        match truth.skipped {
            Some(reason) => Self {
                skipped: Some(reason),
                problems: Vec::new(),
            },
            None => Self {
                skipped: None,
                problems: compare(&truth, log, first),
            },
        }
    }
}

impl Verifier {
    /// Starts portwatch.
    pub fn trace(&self) -> Result<Trace> {
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        Trace::start(&self.portwatch, &arguments)
    }

    /// Plays a scenario while this portwatch watches, others perhaps at the same time.
    pub fn verify(&self, trace: &Trace, scenario: &str) -> Result<Outcome> {
        let before = trace.look(<[Value]>::len)?;
        let truth = self.play(scenario, &[], |stop| match stop {
            Stop::Checkpoint => bail!("a checkpoint was not asked for"),
            Stop::Failure { pid, attempt } => {
                await_attempt(trace, before, pid, attempt);
                Ok(())
            }
        })?;
        await_what_has_happened(trace, before)?;
        trace.look(|records| Outcome::new(truth, records, before))
    }

    /// Plays a scenario, and starts portwatch at its checkpoint, when the port is held already.
    pub fn verify_late(&self, scenario: &str) -> Result<Outcome> {
        let mut trace = None;
        let truth = self.play(scenario, &["--pause"], |stop| {
            match stop {
                Stop::Checkpoint => trace = Some(self.trace()?),
                Stop::Failure { pid, attempt } => {
                    let trace = trace.as_ref().context("a failure before the checkpoint")?;
                    await_attempt(trace, 0, pid, attempt);
                }
            }
            Ok(())
        })?;
        let finished = trace.map(Trace::stop).transpose()?;
        Ok(Outcome::new(
            truth,
            &finished.map_or_else(Vec::new, |finished| finished.records),
            0,
        ))
    }

    /// Runs the scenario binary, which prints a line whenever it stops, and the truth in the end.
    fn play(
        &self,
        scenario: &str,
        arguments: &[&str],
        mut at_stop: impl FnMut(Stop) -> Result<()>,
    ) -> Result<Truth> {
        let mut command = Command::new(&self.scenarios);
        command.args(["run", scenario, "--pace"]).args(arguments);
        let mut player = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut go_on = player.stdin.take().context("no stdin")?;
        let stdout = player.stdout.take().context("no stdout")?;
        let mut truth = None;
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            if let Ok(stop) = serde_json::from_str(&line) {
                at_stop(stop)?;
                writeln!(go_on)?;
            } else {
                truth = Some(serde_json::from_str(&line).context(line)?);
            }
        }
        let status = player.wait()?;
        ensure!(status.success(), "the scenario failed: {status}");
        truth.context("the scenario told no truth")
    }
}

/// If the record does not come, the comparison will say so, with all that is known then.
fn await_attempt(trace: &Trace, before: usize, pid: u32, attempt: usize) {
    let _ = trace.wait_until("record of the failure", |records| {
        (attempts_of(&records[before..], pid).len() >= attempt).then_some(())
    });
}

/// Records come in the order of events: behind that of a bind of our own, none of what was before it is missing.
fn await_what_has_happened(trace: &Trace, before: usize) -> Result<()> {
    let own = UdpSocket::bind(("127.0.0.1", 0))?;
    let port = own.local_addr()?.port();
    trace.wait_until("record of our own bind", |records| {
        let mut ours = attempts_of(&records[before..], id()).into_iter();
        ours.any(|record| record["bound_port"] == port)
            .then_some(())
    })
}
