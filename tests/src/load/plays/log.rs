//! What portwatch tells, by process, until somebody takes it.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, PipeReader, pipe},
    os::linux::net::SocketAddrExt,
    os::unix::net::{SocketAddr, UnixDatagram},
    process::id,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{
    expect::play::Runner,
    harness::{Run, check_totals, patience, trace_command},
};

/// A run of portwatch whose records are not kept for longer than they are needed.
pub(super) struct Log {
    run: Run,
    /// Its first record.
    pub(super) start: Value,
    shared: Arc<Shared>,
    reader: JoinHandle<Result<Value>>,
}

#[derive(Default)]
struct Shared {
    told: Mutex<Told>,
    changed: Condvar,
}

/// Records that have been read, and not been taken.
#[derive(Default)]
pub(super) struct Told {
    /// Attempts by process, in order.
    by_pid: HashMap<u32, Vec<Value>>,
    /// Names that this process has bound, and the number of the record that told it.
    marks: HashMap<String, u64>,
    ended: bool,
}

impl Told {
    /// How many attempts of a process.
    pub(super) fn of(&self, pid: u32) -> usize {
        self.by_pid.get(&pid).map_or(0, Vec::len)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    /// Starts portwatch.
    pub(super) fn start(runner: &Runner) -> Result<Self> {
        let mut arguments = vec!["--format", "json"];
        arguments.extend(runner.arguments.iter().map(String::as_str));
        let mut command = trace_command(&runner.portwatch, &arguments);
        let (from, to) = pipe()?;
        command.stdout(to);
        let run = Run::start_with_own_stdout(command)?;
        let mut from = BufReader::new(from);
        let mut line = String::new();
        from.read_line(&mut line)?;
        let start: Value = serde_json::from_str(&line).context("portwatch does not trace")?;
        ensure!(start["type"] == "start", "the first record is {start}");
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let reader = thread::spawn(move || {
            let read = read(from, &theirs);
            theirs.lock().ended = true;
            theirs.changed.notify_all();
            read
        });
        Ok(Self {
            run,
            start,
            shared,
            reader,
        })
    }

    /// Waits until the records give the answer.
    pub(super) fn wait_until(
        &self,
        patience: Duration,
        mut is_so: impl FnMut(&Told) -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + patience;
        let mut told = self.shared.lock();
        while !is_so(&told) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || told.ended {
                bail!("portwatch has not told it");
            }
            let waited = self.shared.changed.wait_timeout(told, left);
            told = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    /// Waits until everything that has happened is recorded. Records come in the order of events: once the record of a
    /// bind of our own is there, no earlier one is missing. Gives that record's number.
    pub(super) fn mark(&self) -> Result<u64> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // No port, so that nothing is taken from those who play here.
        let name = format!("portwatch-tests-mark-{}-{number}", id());
        let _socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
        let name = format!("@{name}");
        self.wait_until(patience(), |told| told.marks.contains_key(&name))
            .context("a bind of our own")?;
        let number = self.shared.lock().marks.remove(&name);
        number.context("the mark is gone")
    }

    /// Takes the records of a process.
    pub(super) fn take(&self, pid: u32) -> Vec<Value> {
        self.shared.lock().by_pid.remove(&pid).unwrap_or_default()
    }

    /// Forgets the records of a process, its children and theirs.
    pub(super) fn forget_family(&self, first: u32) {
        let mut told = self.shared.lock();
        let mut family = vec![first];
        while let Some(parent) = family.pop() {
            told.by_pid.remove(&parent);
            let is_child = |records: &[Value]| {
                let mut records = records.iter();
                records.any(|record| record["process"]["ppid"] == parent)
            };
            let children = told.by_pid.iter().filter(|(_, records)| is_child(records));
            family.extend(children.map(|(pid, _)| *pid));
        }
    }

    /// What nobody has taken of this namespace since that record, and says that an address was in use.
    pub(super) fn in_use_in(&self, namespace: u64, since: u64) -> Vec<Value> {
        let is_it = |record: &&Value| {
            record["result"] == "EADDRINUSE"
                && record["netns"] == namespace
                && record["seq"].as_u64() > Some(since)
        };
        let told = self.shared.lock();
        told.by_pid
            .values()
            .flatten()
            .filter(is_it)
            .cloned()
            .collect()
    }

    /// Ends portwatch. Gives the record `stop`.
    pub(super) fn finish(self) -> Result<Value> {
        self.run.signal(Signal::SIGINT)?;
        let ended = self.run.finish()?;
        ensure!(ended.status.success(), "{ended:?}");
        let stop = self.reader.join();
        let stop = stop.unwrap_or_else(|_| Err(anyhow!("the reader panicked")))?;
        check_totals(&stop)?;
        Ok(stop)
    }
}

/// Reads to the end. Gives the last record, which is `stop`.
fn read(from: BufReader<PipeReader>, shared: &Shared) -> Result<Value> {
    // The first was `start`.
    let mut last = 1_u64;
    let mut stop = None;
    for line in from.split(b'\n') {
        let record: Value = serde_json::from_slice(&line?).context("no record")?;
        last += 1;
        ensure!(record["seq"] == last, "record {last} is {record}");
        match record["type"].as_str() {
            Some("attempt") => {
                let mut told = shared.lock();
                let pid = record["process"]["pid"].as_u64().map(|pid| pid as u32);
                if pid == Some(id()) {
                    let name = record["addr"].as_str().unwrap_or_default();
                    if name.starts_with('@') {
                        told.marks.insert(name.to_owned(), last);
                    }
                } else if let Some(pid) = pid {
                    told.by_pid.entry(pid).or_default().push(record);
                }
                shared.changed.notify_all();
            }
            Some("stop") => stop = Some(record),
            _ => {}
        }
    }
    stop.context("no record stop")
}
