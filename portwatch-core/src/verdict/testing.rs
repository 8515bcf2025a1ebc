//! Attempts and blockers for the tests.

#![allow(
    missing_docs,
    clippy::must_use_candidate,
    clippy::missing_panics_doc,
    clippy::return_self_not_must_use,
    clippy::unwrap_used,
    reason = "for tests; the names say it"
)]

use crate::model::{
    attempt::{Attempt, Blocker, BlockerCounts, Facts, Failure, Op, SocketId},
    number::Big,
    process::{Holder, Owner, Process, Source},
    socket::{Address, Proto, SocketOption, State},
    verdict::{Cause, Certainty, Clause, Verdict},
};
use crate::prelude::*;

use super::{judge, recheck};

pub const EADDRINUSE: u32 = 98;

pub fn process(comm: &str, pid: u32) -> Process {
    Process {
        pid,
        comm: comm.to_owned(),
        uid: Some(0),
        start_boot_ns: Some(Big(1_000_000_000_000)),
        ..Process::default()
    }
}

/// `bind()` by node[4182], refused.
pub fn bind(addr: &str, port: u16, options: &[SocketOption]) -> Attempt {
    Attempt {
        op: Op::Bind,
        result: "EADDRINUSE".to_owned(),
        errno: EADDRINUSE,
        stage: None,
        proto: Proto::Tcp,
        addr: Some(addr.to_owned()),
        port: Some(port),
        bound_port: None,
        netns: Some(1),
        device: None,
        options: options.to_vec(),
        process: process("node", 4182),
        socket: SocketId {
            fd: Some(7),
            inode: Some(70),
            cookie: None,
        },
        facts: Facts {
            socket_uid: Some(0),
            port_range: Some([32768, 60999]),
            port_reserved: Some(false),
            unprivileged_port_start: Some(1024),
            ..Facts::default()
        },
        failure: Some(Failure {
            blockers: Vec::new(),
            blocker_counts: Some(BlockerCounts::default()),
            range_use: None,
            verdict: None,
            episode: None,
            unix: None,
            released: None,
        }),
        netns_cookie: None,
        netns_name: None,
    }
}

/// A socket of java[977].
pub fn blocker(state: State, addr: &str, port: u16, options: &[SocketOption]) -> Blocker {
    let owner = process("java", 977);
    let connected = !matches!(state, State::Listen | State::Bound);
    Blocker {
        state,
        substate: (state == State::TimeWait).then_some(State::TimeWait),
        local: Address {
            addr: addr.parse().unwrap(),
            port,
        },
        remote: connected.then(|| Address {
            addr: "10.0.0.9".parse().unwrap(),
            port: 51234,
        }),
        options: options.to_vec(),
        uid: (state != State::TimeWait).then_some(0),
        inode: (state != State::TimeWait).then_some(21_077),
        cookie: None,
        since: None,
        scope_id: None,
        device: None,
        device_index: 0,
        expires_in_ms: (state == State::TimeWait).then_some(41_200),
        connected_out: None,
        port_bound: (state != State::TimeWait).then_some(!connected),
        kernel_socket: false,
        kernel_refused: false,
        primary: false,
        conflicts: None,
        came_later: false,
        clause: Clause::Undecided,
        certainty: Certainty::Walked,
        owner: Some(Owner {
            process: owner,
            alive: Some(true),
            source: Source::Observed,
            stopping: None,
        }),
        holders: Vec::new(),
        inherited: None,
        kept_by: None,
        on_behalf_of: None,
    }
}

pub fn listener(addr: &str, port: u16, options: &[SocketOption]) -> Blocker {
    let listener = blocker(State::Listen, addr, port, options);
    Blocker {
        holders: vec![Holder {
            process: process("java", 977),
            fd: 12,
        }],
        ..listener
    }
}

/// A closed connection that nobody can reach.
pub fn orphan(addr: &str, port: u16, options: &[SocketOption]) -> Blocker {
    Blocker {
        inode: None,
        ..blocker(State::FinWait1, addr, port, options)
    }
}

impl Attempt {
    pub fn blocked_by(mut self, blockers: impl IntoIterator<Item = Blocker>) -> Self {
        self.failure.as_mut().unwrap().blockers.extend(blockers);
        self
    }

    pub fn counts(&mut self) -> &mut BlockerCounts {
        self.failure
            .as_mut()
            .unwrap()
            .blocker_counts
            .as_mut()
            .unwrap()
    }

    pub fn blockers(&self) -> &[Blocker] {
        &self.failure.as_ref().unwrap().blockers
    }

    /// Judged; and what is judged here can be judged again from its record.
    pub fn judged(mut self) -> Self {
        judge(&mut self);
        assert_eq!(recheck(&self), []);
        self
    }

    pub fn verdict(&self) -> &Verdict {
        self.failure.as_ref().unwrap().verdict.as_ref().unwrap()
    }

    /// The cause, and what else is true.
    pub fn causes(&self) -> (Cause, &[Cause]) {
        let Verdict { cause, also, .. } = self.verdict();
        (*cause, also)
    }
}
