//! Who made whom, what they executed since, and what that says of a socket: how it came to who has it.

use crate::prelude::*;
use portwatch_common::event::{
    attempt::Candidate,
    owner::role,
    process::{Fork, Process as RawProcess, Signal},
    socket::state,
};

use super::{Assembler, Surroundings, process};
use crate::{
    memory::{
        lineages::{Exec, Lineages, Link, Sender, Sent},
        processes::Key,
    },
    model::{
        inheritance::{Inheritance, Step, Via},
        number::Big,
        process::{Ancestor, Holder, Owner, Process, Stopping},
    },
    words::signal::signal_name,
};

/// A program that was executed, or a process that was made, on the way from one process to another.
#[derive(Clone, Debug)]
struct Passed {
    how: Via,
    boot_ns: u64,
    pid: u32,
    comm: String,
    exe: Option<String>,
}

impl<S: Surroundings> Assembler<S> {
    pub(super) fn fork(&mut self, fork: &Fork) {
        let parent = Key::new(fork.parent_tgid, fork.parent_start_boot_ns);
        let child = Key::new(fork.tgid, fork.start_boot_ns);
        self.memory.processes.started(child, fork.start_boot_ns);
        self.memory.lineages.forked(
            (parent, fork.parent_start_boot_ns),
            (child, fork.start_boot_ns),
            &process::comm(&fork.comm),
        );
    }

    pub(super) fn executed(&mut self, key: Key, raw: &RawProcess, process: &Process) {
        let exec = Exec {
            boot_ns: raw.header.boot_ns,
            comm: process.comm.clone(),
            exe: process.exe.clone(),
        };
        self.memory
            .lineages
            .executed(key, raw.task.start_boot_ns, exec);
    }

    pub(super) fn signal(&mut self, signal: &Signal) {
        let by = (signal.sender_tgid != 0).then(|| Sender {
            pid: signal.sender_tgid,
            start_boot_ns: signal.sender_start_boot_ns,
            comm: process::comm(&signal.sender_comm),
        });
        let sent = Sent {
            boot_ns: signal.header.boot_ns,
            signal: signal.signal,
            by,
        };
        let key = Key::new(signal.tgid, signal.start_boot_ns);
        self.memory
            .lineages
            .signalled(key, signal.start_boot_ns, sent);
    }

    /// Who made a process, and so on.
    pub(super) fn ancestors(&self, process: &Process) -> Vec<Ancestor> {
        let Some(key) = key_of(process) else {
            return Vec::new();
        };
        let line = self.memory.lineages.line(key);
        line.iter()
            .skip(1)
            .take(Process::ANCESTORS)
            .map(|link| Ancestor {
                pid: link.key.pid,
                start_boot_ns: Big(link.life.start_boot_ns),
                comm: link.life.last_comm().to_owned(),
            })
            .collect()
    }

    /// Whether the owner of a socket was sent a signal that ends it, if it lives.
    pub(super) fn stopping(&mut self, owner: &Owner, now_boot_ns: u64) -> Option<Stopping> {
        if owner.alive != Some(true) {
            return None;
        }
        let key = key_of(&owner.process)?;
        let Sent {
            boot_ns,
            signal,
            by,
        } = self.memory.lineages.get(key)?.signal.clone()?;
        let by = by.map(|sender| {
            self.learn(sender.pid, sender.start_boot_ns, &sender.comm);
            let known = self
                .memory
                .processes
                .get(Key::new(sender.pid, sender.start_boot_ns));
            let mut process = known.map_or_else(Process::default, |known| known.process.clone());
            process.comm = sender.comm;
            self.surroundings.complete(&mut process);
            Box::new(process)
        });
        Some(Stopping {
            signal: signal_name(signal),
            time: self.clock.rfc3339(boot_ns),
            ago_ms: now_boot_ns.saturating_sub(boot_ns) / 1_000_000,
            by,
        })
    }

    /// What a process runs that has executed nothing since it was made: what its parent ran then.
    pub(super) fn image_by_fork(&mut self, key: Key) -> Option<Process> {
        let line = self.memory.lineages.line(key);
        let forked_alike = |pair: &&[Link<'_>]| {
            let [child, parent] = pair else { return false };
            let at = child.life.start_boot_ns;
            child.life.executed_nothing()
                && parent.life.execs_since(at).is_some_and(<[_]>::is_empty)
        };
        let parents: Vec<(Key, u64)> = line
            .windows(2)
            .take_while(forked_alike)
            .map(|pair| (pair[1].key, pair[1].life.start_boot_ns))
            .collect();
        let known = parents.into_iter().find_map(|(parent, start)| {
            let known = self.memory.processes.get(parent);
            known
                .map(|known| known.process.clone())
                .or_else(|| self.surroundings.process(parent.pid, start))
                .filter(|process| process.exe.is_some())
        })?;
        Some(Process {
            exe: known.exe,
            cmdline: known.cmdline,
            cgroup: known.cgroup,
            ..Process::default()
        })
    }

    /// How a bound socket came to one that has it open, from the process that bound it: told only where every fork and
    /// exec on the way was seen, and the first of them came after the bind.
    pub(super) fn inheritance(
        &mut self,
        candidate: &Candidate,
        holders: &[Holder],
    ) -> Option<Inheritance> {
        let owner = &candidate.owner;
        let bound = owner.roles & role::BOUND != 0 && owner.roles & role::CONNECTED == 0;
        let here = matches!(candidate.socket.state, state::LISTEN | state::CLOSE);
        let known = owner.since_ns != 0 && self.tracing.knows_processes_since(owner.since_ns);
        if !bound || !here || !known {
            return None;
        }
        let from = Key::new(owner.tgid, owner.start_boot_ns);
        let (since, start) = (owner.since_ns, owner.start_boot_ns);
        let mut found: Vec<(&Holder, Vec<Passed>)> = holders
            .iter()
            .filter_map(|holder| Some((holder, self.way(from, start, since, holder)?)))
            .filter(|(_, way)| !way.is_empty())
            .collect();
        // A server that forks and keeps its socket needs no word.
        let executed = |way: &[Passed]| way.iter().any(|passed| passed.how == Via::Exec);
        let kept = holders
            .iter()
            .any(|holder| key_of(&holder.process) == Some(from));
        found.retain(|(_, way)| !kept || executed(way));
        // Who executed another program first, then who is older.
        found.sort_by_key(|(holder, way)| (!executed(way), holder.process.start_boot_ns));
        let (holder, way) = found.into_iter().next()?;
        let (mut creator, exited) = self.recorded(owner);
        let image = self.memory.lineages.image_at(from, since);
        let unchanged = self
            .memory
            .lineages
            .get(from)
            .is_none_or(|life| life.execs_since(since).is_some_and(<[_]>::is_empty));
        if !unchanged {
            creator.exe = image.and_then(|image| image.exe.clone());
            creator.cmdline = None;
        }
        let from_alive = self.is_alive(&creator, exited);
        let steps = way.into_iter().map(|passed| self.step(passed)).collect();
        Some(Inheritance {
            from: creator,
            from_alive,
            to: holder.process.clone(),
            steps,
        })
    }

    /// What lies between who bound a socket and who has it open; `None` where something is not known of that, empty where
    /// there is nothing.
    fn way(&mut self, from: Key, start: u64, since: u64, holder: &Holder) -> Option<Vec<Passed>> {
        let to = key_of(&holder.process)?;
        let line = self.memory.lineages.line(to);
        let end = line
            .iter()
            .position(|link| link.key == from && link.life.start_boot_ns == start)?;
        let line = &line[..=end];
        // One that was made before the bind may have the socket from before that, or in a message.
        if end > 0 && line[end - 1].life.start_boot_ns < since {
            return None;
        }
        let way = passed(&self.memory.lineages, line, since)?;
        let first_fork = way.iter().position(|passed| passed.how == Via::Fork);
        let executed =
            first_fork.is_some_and(|fork| way[fork..].iter().any(|passed| passed.how == Via::Exec));
        if executed {
            // What is closed on exec did not come through one: it was handed over in a message.
            let start = holder.process.start_boot_ns?.0;
            let closes = self.surroundings.closes_on_exec(to.pid, start, holder.fd);
            (closes == Some(false)).then_some(way)
        } else {
            Some(way)
        }
    }

    fn step(&self, passed: Passed) -> Step {
        Step {
            how: passed.how,
            time: self.clock.rfc3339(passed.boot_ns),
            pid: passed.pid,
            comm: passed.comm,
            exe: passed.exe,
        }
    }
}

fn key_of(process: &Process) -> Option<Key> {
    Some(Key::new(process.pid, process.start_boot_ns?.0))
}

/// What happened along a line, whose last process bound a socket at `since`; `None` where not all of it is known.
fn passed(lineages: &Lineages, line: &[Link<'_>], since: u64) -> Option<Vec<Passed>> {
    let mut way = Vec::new();
    for (position, Link { key, life }) in line.iter().enumerate().rev() {
        let is_last = position + 1 == line.len();
        let executed = life.execs_since(if is_last { since } else { life.start_boot_ns })?;
        let child = position.checked_sub(1).map(|younger| line[younger]);
        let until = child.map_or(u64::MAX, |child| child.life.start_boot_ns);
        way.extend(
            executed
                .iter()
                .take_while(|exec| exec.boot_ns < until)
                .map(|exec| Passed {
                    how: Via::Exec,
                    boot_ns: exec.boot_ns,
                    pid: key.pid,
                    comm: exec.comm.clone(),
                    exe: exec.exe.clone(),
                }),
        );
        way.extend(child.map(|child| {
            Passed {
                how: Via::Fork,
                boot_ns: until,
                pid: child.key.pid,
                comm: child.life.comm.clone(),
                exe: lineages
                    .image_at(*key, until)
                    .and_then(|image| image.exe.clone()),
            }
        }));
    }
    Some(way)
}
