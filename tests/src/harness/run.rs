//! A run of portwatch.

use std::{
    fmt,
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitStatus, Stdio},
};

use anyhow::{Context, Result};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{Lines, patience};

/// A run of portwatch. It is killed when this is dropped.
pub struct Run {
    child: Child,
    /// Its standard output, where that is ours.
    pub stdout: Option<Lines>,
    /// Its standard error.
    pub stderr: Lines,
}

/// A run that has ended.
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// Lines of standard output that were kept.
    pub stdout: Vec<Vec<u8>>,
    /// Number of those that were not.
    pub dropped: u64,
    /// Standard error.
    pub stderr: String,
}

impl Run {
    /// Starts a command, whose standard output is ours.
    pub fn start(command: Command) -> Result<Self> {
        Self::start_keeping(command, |_| true)
    }

    /// Starts a command, of whose standard output we keep some lines.
    pub fn start_keeping(mut command: Command, wanted: fn(&[u8]) -> bool) -> Result<Self> {
        command.stdout(Stdio::piped());
        let mut run = Self::start_with_own_stdout(command)?;
        run.stdout = run
            .child
            .stdout
            .take()
            .map(|stdout| Lines::read(stdout, wanted));
        Ok(run)
    }

    /// Starts a command, whose standard output is as the command has it.
    pub fn start_with_own_stdout(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{command:?}"))?;
        let stderr = child.stderr.take().context("no stderr")?;
        Ok(Self {
            child,
            stdout: None,
            stderr: Lines::read(stderr, |_| true),
        })
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the line on standard error that says that everything is attached.
    pub fn wait_until_tracing(&self) -> Result<()> {
        self.wait_for_message("tracing", |line| line.starts_with("tracing"))
    }

    /// Waits for a line on standard error.
    pub fn wait_for_message(&self, what: &str, wanted: impl Fn(&str) -> bool) -> Result<()> {
        self.stderr.wait_until(what, patience(), |lines| {
            lines
                .iter()
                .any(|line| wanted(&String::from_utf8_lossy(line)))
                .then_some(())
        })
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).context("kill")
    }

    /// Waits for the end.
    pub fn finish(mut self) -> Result<Ended> {
        let (stderr, _) = self.stderr.finish(patience())?;
        let (stdout, dropped) = match &mut self.stdout {
            Some(stdout) => stdout.finish(patience())?,
            None => (Vec::new(), 0),
        };
        let status = self.child.wait()?;
        let stderr = String::from_utf8_lossy(&stderr.join(&b'\n')).into_owned();
        Ok(Ended {
            status,
            stdout,
            dropped,
            stderr,
        })
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl fmt::Debug for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            status,
            stdout,
            dropped,
            stderr,
        } = self;
        let lines = stdout.len() as u64 + dropped;
        write!(f, "{status} after {lines} lines; standard error: {stderr}")
    }
}

impl Ended {
    /// Exit code; 128 and the number of a signal that killed it, as a shell has it.
    #[must_use]
    pub fn code(&self) -> i32 {
        let killed = || 128 + self.status.signal().unwrap_or_default();
        self.status.code().unwrap_or_else(killed)
    }
}
