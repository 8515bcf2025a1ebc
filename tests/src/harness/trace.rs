//! A run of `portwatch trace`, record by record.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempPath;

use super::{Ended, Run, common_arguments, patience};
use crate::expect::title;

/// A run of `portwatch trace` with JSON on its standard output. It is killed when this is dropped.
pub struct Trace {
    run: Run,
    records: Mutex<Vec<Value>>,
    /// Where it tells the same as text.
    text: Option<TempPath>,
}

/// A run that has ended.
#[derive(Debug)]
pub struct Finished {
    /// All records.
    pub records: Vec<Value>,
    /// The same as they were written, without newlines.
    pub lines: Vec<Vec<u8>>,
    /// The same as text with times in UTC, of a run that was asked for it.
    pub text: Option<Vec<u8>>,
    /// The rest.
    pub ended: Ended,
}

/// `portwatch trace` with the arguments that every run has, and more.
#[must_use]
pub fn trace_command(portwatch: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(portwatch);
    command
        .arg("trace")
        .args(common_arguments())
        .args(arguments);
    command
}

impl Trace {
    /// Runs `portwatch trace --format json` with more arguments, and waits until it traces.
    pub fn start(portwatch: &Path, arguments: &[&str]) -> Result<Self> {
        Self::of(trace_command(portwatch, arguments), None)
    }

    /// The same, with text in a file beside it.
    pub fn start_with_text(portwatch: &Path, arguments: &[&str]) -> Result<Self> {
        let text = tempfile::Builder::new().suffix(".txt").tempfile()?;
        let text = text.into_temp_path();
        let mut command = trace_command(portwatch, arguments);
        command.args(["-o", "-", "--append", "-o"]).arg(&text);
        command.env("TZ", "UTC");
        Self::of(command, Some(text))
    }

    fn of(mut command: Command, text: Option<TempPath>) -> Result<Self> {
        command.args(["--format", "json"]);
        let trace = Self {
            run: Run::start(command)?,
            records: Mutex::default(),
            text,
        };
        match trace.wait_for("start", |record| record["type"] == "start") {
            Ok(_) => Ok(trace),
            Err(error) => {
                // If it hangs, the error that we have says more.
                let _ = trace.run.signal(Signal::SIGKILL);
                let said = trace
                    .run
                    .finish()
                    .map(|ended| ended.stderr)
                    .unwrap_or_default();
                bail!("portwatch does not trace: {error:#}: {said}")
            }
        }
    }

    /// The process.
    #[must_use]
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// Looks at the records of now.
    pub fn look<T>(&self, look: impl FnOnce(&[Value]) -> T) -> Result<T> {
        let mut look = Some(look);
        self.wait_until("records", |records| look.take().map(|look| look(records)))
    }

    /// Waits for a record.
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        self.wait_until(what, |records| {
            records.iter().find(|record| wanted(record)).cloned()
        })
    }

    /// Waits until the records give an answer.
    pub fn wait_until<T>(&self, what: &str, look: impl FnMut(&[Value]) -> Option<T>) -> Result<T> {
        self.wait_long(what, patience(), look)
    }

    /// The same, for something that takes its time.
    pub fn wait_long<T>(
        &self,
        what: &str,
        patience: Duration,
        mut look: impl FnMut(&[Value]) -> Option<T>,
    ) -> Result<T> {
        let stdout = self.run.stdout.as_ref().context("no stdout")?;
        let records = || self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = stdout.wait_until(what, patience, |lines| {
            let mut records = records();
            let new = lines[records.len()..].iter();
            // What is no record is found at the end.
            records.extend(new.map(|line| serde_json::from_slice(line).unwrap_or_default()));
            look(&records)
        });
        answer.with_context(|| {
            let records = records();
            let last: Vec<String> = records.iter().rev().take(5).rev().map(title).collect();
            format!(
                "after {} records, the last of them {last:#?}",
                records.len()
            )
        })
    }

    /// Interrupts portwatch as Ctrl-C does, and waits for its end. Checks what must hold of every log.
    pub fn stop(self) -> Result<Finished> {
        self.run.signal(Signal::SIGINT)?;
        self.finish()
    }

    /// Waits for the end of a run that ends by itself. Checks what must hold of every log.
    pub fn finish(self) -> Result<Finished> {
        let mut ended = self.run.finish()?;
        let lines = std::mem::take(&mut ended.stdout);
        let sound = |lines: &[Vec<u8>]| {
            let records = parse_log(lines)?;
            check_log(&records).map(|()| records)
        };
        let records = sound(&lines).with_context(|| format!("the log is not sound; {ended:?}"))?;
        let text = self.text.map(fs::read).transpose()?;
        Ok(Finished {
            records,
            lines,
            text,
            ended,
        })
    }
}

/// The records of a log; an error if a line is none.
pub fn parse_log<L: AsRef<[u8]>>(lines: &[L]) -> Result<Vec<Value>> {
    let parse = |line: &L| {
        let line = line.as_ref();
        serde_json::from_slice(line)
            .with_context(|| format!("no record: {}", String::from_utf8_lossy(line)))
    };
    lines.iter().map(parse).collect()
}

/// What must hold of every log: first `start`, last `stop`, numbered without a gap, and nothing lost uncounted.
pub fn check_log(records: &[Value]) -> Result<()> {
    let first = records.first().context("no records")?;
    ensure!(first["type"] == "start", "the first record is {first}");
    for (index, record) in records.iter().enumerate() {
        ensure!(record["schema"] == 1, "schema: {record}");
        ensure!(
            record["seq"] == index + 1,
            "record {} has seq {}",
            index + 1,
            record["seq"]
        );
        ensure!(
            record["time"].is_string() && record["boot_ns"].is_string(),
            "times: {record}"
        );
        let last = index + 1 == records.len();
        ensure!(
            (record["type"] == "stop") == last,
            "stop is the last record, alone: {record}"
        );
    }
    check_totals(totals(records)?)
}

/// The record `stop`.
pub fn totals(records: &[Value]) -> Result<&Value> {
    let last = records.last().context("no records")?;
    ensure!(last["type"] == "stop", "the last record is {last}");
    Ok(last)
}

/// `seen == submitted + lost + filtered`.
pub fn check_totals(stop: &Value) -> Result<()> {
    let [seen, submitted, lost, filtered] = ["seen", "submitted", "lost", "filtered"].map(|name| {
        stop[name]
            .as_u64()
            .with_context(|| format!("{name} in {stop}"))
    });
    let (seen, counted) = (seen?, submitted? + lost? + filtered?);
    ensure!(
        seen == counted,
        "seen {seen} attempts, accounted for {counted}: {stop}"
    );
    Ok(())
}
