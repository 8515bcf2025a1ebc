//! From the kernel's facts to records: who, on which port, who was in the way, and why.
//!
//! Pure: what has to be looked up is asked of [`Surroundings`], so that all of it is tested without root.

mod attempt;
mod blocker;
mod range;
mod surroundings;
#[cfg(test)]
mod tests;
mod who;

use std::collections::BTreeMap;

use portwatch_common::event::{attempt as raw, process as raw_process};

pub use surroundings::{Descriptor, Surroundings};

use crate::{
    clock::Clock,
    decode::Event,
    model::{
        attempt::Attempt,
        number::Big,
        record::{Body, Record},
        verdict::Cause,
    },
    verdict,
    world::{World, processes::Key},
};

/// Turns events into records, in the order in which the kernel handed them over.
#[derive(Debug)]
pub struct Story<S> {
    world: World,
    surroundings: S,
    clock: Clock,
    seq: u64,
    failures: BTreeMap<Cause, u64>,
}

impl<S: Surroundings> Story<S> {
    /// A story that begins now.
    #[must_use]
    pub fn new(surroundings: S, clock: Clock) -> Self {
        Self {
            world: World::default(),
            surroundings,
            clock,
            seq: 0,
            failures: BTreeMap::new(),
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

    /// What was dropped for room so far, by kind.
    #[must_use]
    pub fn evicted(&self) -> BTreeMap<String, u64> {
        BTreeMap::from([
            ("processes".to_owned(), self.world.processes.evicted()),
            ("sockets".to_owned(), self.world.sockets.evicted()),
        ])
    }

    /// Takes in the sockets that were open when tracing began. Events that are newer come later and win.
    pub fn snapshot(&mut self, descriptors: &[Descriptor]) {
        for open in descriptors {
            let owner = Key::new(open.pid, open.start_boot_ns);
            self.learn(open.pid, open.start_boot_ns, &open.comm);
            // Of several holders the oldest is the one that most likely made the socket.
            let older = self.world.sockets.get(open.inode).is_none_or(|known| {
                self.start_of(known)
                    .is_none_or(|start| open.start_boot_ns < start)
            });
            if older {
                self.world.sockets.insert(open.inode, owner);
            }
        }
    }

    /// The record that an event gives, if it gives one.
    pub fn event(&mut self, event: &Event) -> Option<Record> {
        match event {
            Event::Process(process) => {
                self.process(process);
                None
            }
            Event::Exit(exit) => {
                let key = Key::new(exit.tgid, exit.start_boot_ns);
                self.world.processes.exited(key, exit.header.boot_ns);
                None
            }
            Event::Attempt(attempt) => Some(self.attempt(attempt, None)),
            Event::Conflict(conflict) => {
                Some(self.attempt(&conflict.attempt, Some(&conflict.walk)))
            }
        }
    }

    /// Wraps a body, at a time of the kernel's clock.
    pub fn record(&mut self, boot_ns: u64, body: Body) -> Record {
        self.seq += 1;
        Record {
            seq: self.seq,
            time: self.clock.rfc3339(boot_ns),
            boot_ns: Big(boot_ns),
            body,
        }
    }

    fn process(&mut self, process: &raw_process::Process) {
        let key = Key::new(process.task.tgid, process.task.start_boot_ns);
        let mut process = who::from_event(process);
        self.surroundings.complete(&mut process);
        self.world.processes.insert(key, process);
    }

    fn attempt(&mut self, raw: &raw::Attempt, walk: Option<&raw::Walk>) -> Record {
        let mut attempt = self.describe(raw);
        if raw.errno != 0 {
            attempt.failure = Some(self.failure(raw, walk));
            verdict::judge(&mut attempt);
            self.count(&attempt);
        }
        self.record(raw.header.boot_ns, Body::Attempt(Box::new(attempt)))
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
