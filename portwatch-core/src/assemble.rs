//! From the kernel's facts to records: who, on which port, who blocked it, and why.
//!
//! Pure: what has to be looked up is asked of [`Surroundings`], so that all of it is tested without root.

mod attempt;
mod blocker;
mod episode;
mod freed;
mod keeper;
mod lineage;
mod port;
mod process;
mod proxy;
mod range;
mod surroundings;
#[cfg(test)]
mod tests;
mod time_wait;
mod unix;

use crate::prelude::*;
use alloc::{collections::BTreeMap, vec::Drain};

use portwatch_common::event::{attempt as raw, process as raw_process};

pub use proxy::Managed;
pub use surroundings::{
    Descriptor, KeeperFound, Surroundings, Unheld, UnixAsked, UnixDescriptor, UnixFound,
};

use crate::{
    clock::Clock,
    decode::Event,
    memory::{Memory, processes::Key},
    model::{
        attempt::Attempt,
        number::Big,
        record::{Body, Record},
        verdict::Cause,
    },
    verdict,
};

/// Turns events into records, in the order in which the kernel handed them over.
#[derive(Debug)]
pub struct Assembler<S> {
    memory: Memory,
    surroundings: S,
    clock: Clock,
    seq: u64,
    /// Records of the event at hand.
    told: Vec<Record>,
    /// How long the machine had been suspended when that was last asked.
    suspended_ns: u64,
    /// Hooks report when a `TIME_WAIT` begins.
    sees_time_waits: bool,
    failures: BTreeMap<Cause, u64>,
    /// Successes that were taken in for the end of an episode alone, and told nobody anything.
    untold: u64,
    doubts: episode::Doubts,
    /// When episodes are looked through next.
    episodes_due_ns: u64,
    tracing: attempt::Tracing,
}

impl<S: Surroundings> Assembler<S> {
    /// An assembler that begins now.
    #[must_use]
    pub fn new(surroundings: S, clock: Clock) -> Self {
        let suspended_ns = surroundings.suspended_ns();
        Self {
            memory: Memory::default(),
            surroundings,
            clock,
            seq: 0,
            told: Vec::new(),
            suspended_ns,
            sees_time_waits: false,
            failures: BTreeMap::new(),
            untold: 0,
            doubts: episode::Doubts::default(),
            episodes_due_ns: 0,
            tracing: attempt::Tracing::default(),
        }
    }

    /// What is asked about the rest of the machine.
    pub const fn surroundings(&mut self) -> &mut S {
        &mut self.surroundings
    }

    /// From the kernel's clock to the wall clock.
    #[must_use]
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// Takes a new sample of the clocks: the wall clock may have been set.
    pub const fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
    }

    /// Failures so far that have a verdict, by cause.
    #[must_use]
    pub const fn failures(&self) -> &BTreeMap<Cause, u64> {
        &self.failures
    }

    /// Attempts so far that the kernel side has handed over, and that the filter for failures leaves out all the same.
    #[must_use]
    pub const fn untold(&self) -> u64 {
        self.untold
    }

    /// What was dropped for room so far, by kind.
    #[must_use]
    pub fn evicted(&self) -> BTreeMap<String, u64> {
        BTreeMap::from([
            ("lineages".to_owned(), self.memory.lineages.evicted()),
            ("episodes".to_owned(), self.memory.episodes.evicted()),
            ("processes".to_owned(), self.memory.processes.evicted()),
            ("sockets".to_owned(), self.memory.sockets.evicted()),
            ("time_waits".to_owned(), self.memory.time_waits.evicted()),
        ])
    }

    /// Takes in the sockets that were open when tracing began. Events that are newer come later and win.
    pub fn snapshot(&mut self, descriptors: &[Descriptor]) {
        for open in descriptors {
            let owner = Key::new(open.pid, open.start_boot_ns);
            self.learn(open.pid, open.start_boot_ns, &open.comm);
            // Of several holders the oldest is the one that most likely made the socket.
            let older = self.memory.sockets.get(open.inode).is_none_or(|known| {
                self.start_of(known)
                    .is_none_or(|start| open.start_boot_ns < start)
            });
            if older {
                self.memory.sockets.insert(open.inode, owner);
            }
        }
    }

    /// The records that an event gives, in their order.
    pub fn event(&mut self, event: &Event) -> Drain<'_, Record> {
        match event {
            Event::Process(process) => self.process(process),
            Event::Exit(exit) => {
                let key = Key::new(exit.tgid, exit.start_boot_ns);
                self.memory.processes.exited(key, exit.header.boot_ns);
                self.memory.lineages.ended(key);
            }
            Event::Fork(fork) => self.fork(fork),
            Event::Signal(signal) => self.signal(signal),
            Event::Port(port) => self.port(port),
            Event::TimeWait(time_wait) => self.time_wait(time_wait),
            Event::Attempt(attempt) => self.attempt(attempt, None),
            Event::Conflict(conflict) => self.attempt(&conflict.attempt, Some(&conflict.walk)),
        }
        self.told.drain(..)
    }

    /// Wraps a body, at a time of the kernel's clock.
    pub fn record(&mut self, boot_ns: u64, body: Body) -> Record {
        self.tracing.heed(boot_ns, &body);
        if let Body::Lost(lost) = &body
            && episode::HIDE_ENDS.contains(&lost.kind.as_str())
        {
            self.doubts.lost_ns = Some(boot_ns);
        }
        if let Body::Start(start) = &body {
            self.sees_time_waits = start.hooks.contains_key(time_wait::CAPABILITY);
            self.doubts.failures_only = start.filters.failures;
        }
        self.seq += 1;
        Record {
            seq: self.seq,
            time: self.clock.rfc3339(boot_ns),
            boot_ns: Big(boot_ns),
            body,
        }
    }

    fn process(&mut self, raw: &raw_process::Process) {
        let key = Key::new(raw.task.tgid, raw.task.start_boot_ns);
        let mut process = process::from_event(raw);
        if raw.flags & raw_process::flag::AT_EXEC != 0 {
            self.executed(key, raw, &process);
        }
        self.surroundings.complete(&mut process);
        self.memory.processes.insert(key, process);
    }

    fn tell(&mut self, boot_ns: u64, body: Body) {
        let record = self.record(boot_ns, body);
        self.told.push(record);
    }

    fn attempt(&mut self, raw: &raw::Attempt, walk: Option<&raw::Walk>) {
        let mut attempt = self.describe(raw);
        if raw.errno != 0 {
            attempt.process.ancestors = self.ancestors(&attempt.process);
            let mut failure = self.failure(raw, walk);
            failure.released = self.released_during(raw, &attempt);
            attempt.failure = Some(failure);
            verdict::judge(&mut attempt);
            self.count(&attempt);
            let episode = self.failed(raw, walk, &attempt);
            if let Some(failure) = &mut attempt.failure {
                failure.episode = episode;
            }
        }
        let ended = (raw.errno == 0)
            .then(|| self.succeeded(raw, &attempt))
            .flatten();
        if raw.errno == 0 && ended.is_none() && self.doubts.failures_only {
            self.untold += 1;
            return;
        }
        self.tell(raw.header.boot_ns, Body::Attempt(Box::new(attempt)));
        if let Some(episode) = ended {
            self.tell(raw.header.boot_ns, Body::Episode(Box::new(episode)));
        }
    }

    fn count(&mut self, attempt: &Attempt) {
        let verdict = attempt
            .failure
            .as_ref()
            .and_then(|failure| failure.verdict.as_ref());
        if let Some(verdict) = verdict {
            *self.failures.entry(verdict.cause).or_default() += 1;
        }
    }
}
