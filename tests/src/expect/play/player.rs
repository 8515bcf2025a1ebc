//! A scenario in a process of its own, which stops where it can be looked at.

use std::{
    io::{BufRead, BufReader, Lines, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};

use crate::{expect::truth::Truth, lab::Stop};

/// A scenario that is being played. It prints a line whenever it stops, goes on at the next line of its input, and
/// prints the truth in the end. One that is dropped before goes on alone.
pub(crate) struct Player {
    process: Child,
    go_on: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    at_checkpoint: bool,
    truth: Option<Truth>,
}

impl Player {
    /// Starts a scenario that stops after each failure; more arguments may have it stop elsewhere, too.
    pub(crate) fn start(binary: &Path, scenario: &str, arguments: &[&str]) -> Result<Self> {
        let mut process = Command::new(binary)
            .args(["run", scenario, "--pace"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let go_on = process.stdin.take().context("no stdin")?;
        let stdout = process.stdout.take().context("no stdout")?;
        Ok(Self {
            process,
            go_on,
            lines: BufReader::new(stdout).lines(),
            at_checkpoint: false,
            truth: None,
        })
    }

    /// Process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits for the checkpoint; or for the end, if it cannot be played here.
    pub(crate) fn at_checkpoint(mut self) -> Result<Self> {
        match self.next_stop()? {
            None => {}
            Some(Stop::Checkpoint) => self.at_checkpoint = true,
            Some(stop) => bail!("{stop:?} before the checkpoint"),
        }
        Ok(self)
    }

    /// Goes on to the end. Calls `at_stop` wherever the scenario stops after the checkpoint, while every process is
    /// still there, and sends the scenario the cause that it returns.
    pub(crate) fn finish(
        mut self,
        mut at_stop: impl FnMut(&Stop) -> Option<String>,
    ) -> Result<Truth> {
        if self.at_checkpoint {
            writeln!(self.go_on)?;
        }
        while let Some(stop) = self.next_stop()? {
            ensure!(stop != Stop::Checkpoint, "a checkpoint was not asked for");
            let cause = at_stop(&stop).unwrap_or_default();
            writeln!(self.go_on, "{cause}")?;
        }
        let status = self.process.wait()?;
        ensure!(status.success(), "the scenario failed: {status}");
        self.truth.context("the scenario told no truth")
    }

    /// Where it stops next; nothing at its end.
    fn next_stop(&mut self) -> Result<Option<Stop>> {
        for line in self.lines.by_ref() {
            let line = line?;
            if let Ok(stop) = serde_json::from_str(&line) {
                return Ok(Some(stop));
            }
            self.truth = Some(serde_json::from_str(&line).context(line)?);
        }
        Ok(None)
    }
}
