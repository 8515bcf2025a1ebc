//! A tracer that runs, and what it told.

use std::{
    fs::File,
    io::{BufRead, BufReader, Seek},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::programs;
use portwatch_tests::harness::{Run, patience, trace_command};

/// A tracer.
#[derive(Clone, Debug)]
pub(super) enum Tracer {
    /// `portwatch trace --format json` with more arguments.
    Portwatch {
        /// The arguments.
        arguments: Vec<String>,
        /// What they mean, where that is not plain.
        what: &'static str,
    },
    /// `bpftrace` with a script.
    Bpftrace {
        bpftrace: PathBuf,
        /// What the script is.
        what: &'static str,
        script: &'static str,
        /// How many BPF programs it is.
        programs: usize,
    },
}

/// A tracer that runs.
pub(super) struct Tracing {
    run: Run,
    /// What portwatch writes.
    log: Option<File>,
}

/// What portwatch told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Attempts.
    pub(super) seen: u64,
    /// Those of them for which there was no room.
    pub(super) lost: u64,
    /// Refusals of ours.
    pub(super) refusals: u64,
    /// Those of them whose first blocker is our listener.
    pub(super) listeners_named: u64,
}

impl Tracer {
    /// As the report names it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Portwatch { arguments, what } => {
                let words: Vec<_> = ["portwatch"]
                    .into_iter()
                    .chain(arguments.iter().map(String::as_str))
                    .collect();
                format!("{}{what}", words.join(" "))
            }
            Self::Bpftrace { what, .. } => format!("bpftrace: {what}"),
        }
    }

    /// Starts it, and waits until it traces.
    pub(super) fn start(&self, portwatch: &Path) -> Result<Tracing> {
        match self {
            Self::Portwatch { arguments, .. } => {
                let arguments = ["--format", "json"]
                    .into_iter()
                    .chain(arguments.iter().map(String::as_str));
                let mut command = trace_command(portwatch, &arguments.collect::<Vec<_>>());
                let log = tempfile::tempfile().context("a file for the log")?;
                command.stdout(log.try_clone()?);
                let run = Run::start_with_own_stdout(command)?;
                if let Err(error) = run.wait_until_tracing() {
                    // It has ended, or hangs: what it has said is worth more than how it ends.
                    let _ = run.signal(Signal::SIGKILL);
                    return Err(error.context(run.finish()?.stderr));
                }
                Ok(Tracing {
                    run,
                    log: Some(log),
                })
            }
            Self::Bpftrace {
                bpftrace,
                script,
                programs,
                ..
            } => {
                let mut command = Command::new(bpftrace);
                command.args(["-e", script]).stdout(Stdio::null());
                let run = Run::start_with_own_stdout(command)?;
                await_programs(run.pid(), *programs)?;
                Ok(Tracing { run, log: None })
            }
        }
    }
}

/// bpftrace does not tell when it has attached: waits until its programs run.
fn await_programs(pid: u32, wanted: usize) -> Result<()> {
    let deadline = Instant::now() + patience();
    let counting = programs::count()?;
    loop {
        // Binds and listens, in the namespace of this thread, to a port that the kernel picks.
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let programs = programs::of_process(pid)?;
        if programs.iter().filter(|program| program.count > 0).count() >= wanted {
            drop(counting);
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "bpftrace does not trace");
    }
}

impl Tracing {
    /// Process id.
    pub(super) fn pid(&self) -> u32 {
        self.run.pid()
    }

    /// Ends it.
    pub(super) fn finish(self) -> Result<Told> {
        let Some(log) = self.log else {
            // bpftrace has nothing to tell, and does not always end when it is interrupted.
            self.run.signal(Signal::SIGKILL)?;
            self.run.finish()?;
            return Ok(Told::default());
        };
        self.run.signal(Signal::SIGINT)?;
        let ended = self.run.finish()?;
        ensure!(ended.status.success(), "{ended:?}");
        Told::read(log)
    }
}

impl Told {
    fn read(mut log: File) -> Result<Self> {
        log.rewind()?;
        let mut told = Self::default();
        for line in BufReader::new(log).lines() {
            let record: Value = serde_json::from_str(&line?).context("the log is not sound")?;
            if record["type"] == "stop" {
                told.seen = record["seen"].as_u64().context("seen")?;
                told.lost = record["lost"].as_u64().context("lost")?;
            }
            if record["result"] == "EADDRINUSE" && record["process"]["pid"] == std::process::id() {
                told.refusals += 1;
                told.listeners_named += u64::from(is_listener_named(&record));
            }
        }
        Ok(told)
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.seen += other.seen;
        self.lost += other.lost;
        self.refusals += other.refusals;
        self.listeners_named += other.listeners_named;
    }
}

/// Whether the first blocker is a listener of this process.
fn is_listener_named(record: &Value) -> bool {
    let mut blockers = record["blockers"].as_array().into_iter().flatten();
    blockers.any(|blocker| {
        blocker["primary"] == true
            && blocker["state"] == "listen"
            && blocker["owner"]["pid"] == std::process::id()
    })
}
