//! The other side: the sockets on the port, whose they are, and since when.

use crate::prelude::*;
use portwatch_common::event::{
    attempt::{self as raw, Candidate, walk},
    owner::role,
    socket::{Socket, flag, state},
};

use super::{
    Assembler, Descriptor, Surroundings,
    attempt::{given, ip, options},
};
use crate::{
    memory::processes::Key,
    model::{
        attempt::{Blocker, BlockerCounts, Failure},
        number::Big,
        process::{Holder, Owner, Process, Source},
        socket::{Address, State},
        verdict::{Certainty, Clause},
    },
};

impl<S: Surroundings> Assembler<S> {
    pub(super) fn failure(&mut self, raw: &raw::Attempt, walk: Option<&raw::Walk>) -> Failure {
        let kept = walk.map_or(&[][..], |walk| {
            let len = (walk.candidates_len as usize).min(walk.candidates.len());
            &walk.candidates[..len]
        });
        let inodes: Vec<u64> = kept
            .iter()
            .filter_map(|kept| given(kept.socket.inode))
            .collect();
        let open = if inodes.is_empty() {
            Vec::new()
        } else {
            let (netns, port) = (raw.socket.netns, raw.requested.port);
            self.surroundings
                .holders(netns, port, &inodes, raw.header.boot_ns)
        };
        // An accepted connection has the port of its listener.
        let listened = kept.iter().any(|kept| kept.socket.state == state::LISTEN)
            || walk.is_some_and(|walk| walk.flags & walk::HAD_LISTENER != 0);
        let blockers = distinct(kept, raw.socket.inode)
            .iter()
            .filter_map(|kept| self.blocker(raw, kept, &open, listened))
            .collect();
        Failure {
            blockers,
            blocker_counts: walk.and_then(counts),
            range_use: self.range_use(raw),
            verdict: None,
            episode: None,
            unix: self.unix_name(raw),
            released: None,
        }
    }

    fn blocker(
        &mut self,
        raw: &raw::Attempt,
        candidate: &Candidate,
        open: &[Descriptor],
        listened: bool,
    ) -> Option<Blocker> {
        let socket = &candidate.socket;
        let exact = socket.flags & flag::EXACT != 0;
        let since = given(candidate.owner.since_ns);
        let holders = self.holders(socket, open);
        let inherited = self.inheritance(candidate, &holders);
        let kept_by = self.kept_by(socket, &holders, raw.header.boot_ns);
        let mut owner = self.owner(candidate, &holders);
        if let Some(owner) = &mut owner {
            owner.stopping = self.stopping(owner, raw.header.boot_ns);
        }
        let local = Address {
            addr: ip(&socket.local)?,
            port: socket.local.port,
        };
        let on_behalf_of = self.on_behalf_of(candidate, local, owner.as_ref(), &holders);
        Some(Blocker {
            state: state_of(socket.state)?,
            substate: (socket.state == state::TIME_WAIT)
                .then(|| state_of(socket.substate))
                .flatten(),
            local,
            remote: remote(socket),
            options: options(socket),
            uid: (socket.flags & flag::UID_KNOWN != 0).then_some(socket.uid),
            inode: given(socket.inode),
            cookie: given(socket.cookie).map(Big),
            since: since.map(|boot_ns| self.clock.rfc3339(boot_ns)),
            scope_id: None,
            device: self.device(socket.bound_dev_if, socket.netns),
            device_index: socket.bound_dev_if,
            expires_in_ms: (socket.state == state::TIME_WAIT).then(|| self.expires_in_ms(socket)),
            connected_out: connected_out(candidate, listened),
            port_bound: (socket.state != state::TIME_WAIT)
                .then_some(socket.flags & flag::BINDPORT_LOCK != 0),
            kernel_socket: is_kernel_socket(socket),
            kernel_refused: exact,
            primary: false,
            conflicts: None,
            // What the kernel refused for was there.
            came_later: !exact && since.is_some_and(|since| since > raw.returned_ns),
            clause: Clause::Undecided,
            certainty: Certainty::Walked,
            owner,
            inherited: inherited.map(Box::new),
            kept_by: kept_by.map(Box::new),
            on_behalf_of: on_behalf_of.map(Box::new),
            holders,
        })
    }

    fn holders(&mut self, socket: &Socket, open: &[Descriptor]) -> Vec<Holder> {
        open.iter()
            .filter(|open| open.inode == socket.inode && socket.inode != 0)
            .map(|open| {
                let mut process = self.opener(open);
                process.ancestors = self.ancestors(&process);
                Holder {
                    process,
                    fd: open.fd,
                }
            })
            .collect()
    }

    pub(super) fn opener(&mut self, open: &Descriptor) -> Process {
        self.learn(open.pid, open.start_boot_ns, &open.comm);
        let key = Key::new(open.pid, open.start_boot_ns);
        let mut process = self
            .memory
            .processes
            .get(key)
            .map_or_else(Process::default, |known| {
                let mut process = known.process.clone();
                // The name may have been changed since the image was recorded.
                process.comm.clone_from(&open.comm);
                process
            });
        self.surroundings.complete(&mut process);
        process
    }

    /// Whose the socket is. Who got its port, as long as that process has it open or nobody has; else who has.
    pub(super) fn owner(&mut self, candidate: &Candidate, holders: &[Holder]) -> Option<Owner> {
        if let Some((process, exited, source)) = self.recorded_owner(candidate) {
            // As it is called now: it may have executed another program since.
            let holder = holders
                .iter()
                .find(|holder| holder.process.is_same(&process));
            if let Some(holder) = holder {
                let process = holder.process.clone();
                return Some(Owner {
                    process,
                    alive: Some(true),
                    source,
                    stopping: None,
                });
            }
            if holders.is_empty() {
                let alive = self.is_alive(&process, exited);
                return Some(Owner {
                    process,
                    alive,
                    source,
                    stopping: None,
                });
            }
        }
        // The oldest: a master before its workers.
        let oldest = holders
            .iter()
            .min_by_key(|holder| holder.process.start_boot_ns)?;
        Some(Owner {
            process: oldest.process.clone(),
            alive: Some(true),
            source: Source::Iterator,
            stopping: None,
        })
    }

    /// Who got the port, and when that process ended, if it did.
    pub(super) fn recorded_owner(
        &mut self,
        candidate: &Candidate,
    ) -> Option<(Process, Option<u64>, Source)> {
        if candidate.owner.roles != 0 {
            let (process, exited) = self.recorded(&candidate.owner);
            return Some((process, exited, Source::Observed));
        }
        let inode = given(candidate.socket.inode)?;
        let key = self.memory.sockets.get(inode)?;
        let known = self.memory.processes.get(key)?.clone();
        let mut process = known.process;
        self.surroundings.complete(&mut process);
        Some((process, known.exited_boot_ns, Source::Snapshot))
    }

    pub(super) fn is_alive(&mut self, process: &Process, exited: Option<u64>) -> Option<bool> {
        if exited.is_some() {
            return Some(false);
        }
        let start = process.start_boot_ns?;
        self.surroundings.is_alive(process.pid, start.0)
    }

    /// A lower bound: the timer wheel may fire later, and a segment may re-arm it.
    fn expires_in_ms(&self, socket: &Socket) -> u64 {
        let jiffies = u64::try_from(socket.expires_in_jiffies).unwrap_or(0);
        jiffies.saturating_mul(1000) / self.surroundings.ticks_per_second().max(1)
    }
}

/// Sockets once each, and without the attempt's own: an MPTCP socket and its subflow have one inode.
///
/// The socket that the kernel named is the first, as it was then; the walk may have met it again.
fn distinct(kept: &[Candidate], own: u64) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    for candidate in kept {
        let inode = candidate.socket.inode;
        if inode != 0 && inode == own {
            continue;
        }
        match found.iter_mut().find(|known| is_same(known, candidate)) {
            // Its owner may have been found in another way.
            Some(known) if known.owner.roles == 0 => known.owner = candidate.owner,
            Some(_) => {}
            None => found.push(*candidate),
        }
    }
    found
}

/// True if both are one socket. Its address alone does not say so: it is recycled.
fn is_same(a: &Candidate, b: &Candidate) -> bool {
    let (a, b) = (&a.socket, &b.socket);
    if a.inode != 0 && b.inode != 0 {
        return a.inode == b.inode;
    }
    a.sk == b.sk && a.local == b.local && a.remote == b.remote
}

/// Whether `connect()` picked the port; `None` where neither is known.
fn connected_out(candidate: &Candidate, listened: bool) -> Option<bool> {
    let socket = &candidate.socket;
    if matches!(socket.state, state::LISTEN | state::CLOSE) {
        return Some(false);
    }
    // The program chose the port itself, and connected or accepted: the socket does not say which.
    if socket.flags & flag::BINDPORT_LOCK != 0 {
        return None;
    }
    if socket.flags & (flag::CONNECT_BIND | flag::BUCKET_CONNECT_ONLY) != 0
        || candidate.owner.roles & role::CONNECTED != 0
    {
        return Some(true);
    }
    // A port that nobody was seen to listen on may as well be one that bind() with port 0 picked for a client.
    listened.then_some(false)
}

fn remote(socket: &Socket) -> Option<Address> {
    let addr = ip(&socket.remote)?;
    (socket.remote.port != 0).then_some(Address {
        addr,
        port: socket.remote.port,
    })
}

/// Made by the kernel for itself: no process can reach it. (MPTCP's subflows are kernel sockets with a process's file.)
pub(super) fn is_kernel_socket(socket: &Socket) -> bool {
    const REACHABLE: u32 = flag::HAS_SOCKET | flag::HAS_FILE;
    match socket.flags & REACHABLE {
        REACHABLE => false,
        flag::HAS_SOCKET => true,
        _ => socket.flags & flag::KERN_SOCK != 0,
    }
}

fn state_of(raw: u8) -> Option<State> {
    Some(match raw {
        state::ESTABLISHED => State::Established,
        state::SYN_SENT => State::SynSent,
        state::SYN_RECV | state::NEW_SYN_RECV => State::SynRecv,
        state::FIN_WAIT1 => State::FinWait1,
        state::FIN_WAIT2 => State::FinWait2,
        state::TIME_WAIT => State::TimeWait,
        state::CLOSE => State::Bound,
        state::CLOSE_WAIT => State::CloseWait,
        state::LAST_ACK => State::LastAck,
        state::LISTEN => State::Listen,
        state::CLOSING => State::Closing,
        _ => return None,
    })
}

fn counts(raw: &raw::Walk) -> Option<BlockerCounts> {
    if raw.flags & walk::UNSUPPORTED != 0 {
        return None;
    }
    let of = |state: u8| raw.counts[state as usize];
    Some(BlockerCounts {
        listen: of(state::LISTEN),
        bound: of(state::CLOSE),
        established: of(state::ESTABLISHED),
        syn_sent: of(state::SYN_SENT),
        syn_recv: of(state::SYN_RECV),
        close_wait: of(state::CLOSE_WAIT),
        fin_wait1: of(state::FIN_WAIT1),
        fin_wait2: of(state::FIN_WAIT2),
        last_ack: of(state::LAST_ACK),
        closing: of(state::CLOSING),
        time_wait: of(state::TIME_WAIT),
        truncated: raw.flags & (walk::TRUNCATED | walk::DISTURBED) != 0,
        blockers_truncated: raw.flags & walk::CANDIDATES_TRUNCATED != 0,
    })
}
