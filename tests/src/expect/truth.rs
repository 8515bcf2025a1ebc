//! What a scenario knows to be true, in one line of JSON.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

/// What happened in a scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truth {
    /// Its name.
    pub scenario: String,
    /// Why it could not be played here.
    pub skipped: Option<String>,
    /// Every attempt of its processes, in order.
    pub expect: Vec<Expected>,
    /// What became of the watched ports that it used, in order.
    pub changes: Vec<Change>,
    /// Episodes that portwatch must report, at least.
    pub episodes: Vec<Episode>,
}

/// Failures of one program at one port, and how that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Episode {
    /// Process that tried last.
    pub pid: u32,
    /// The port.
    pub port: u16,
    /// `bound`, `gave_up`, `open`.
    pub outcome: String,
    /// Failures, and the success if there was one.
    pub attempts: u64,
    /// Processes that tried.
    pub processes: u64,
    /// Causes, the owner of the blocking socket, and failures, in sequence.
    pub by: Vec<(String, Option<u32>, u64)>,
    /// What made the port free.
    pub freed: Option<String>,
}

/// A bind or listen that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// `bind`, `listen`, `autobind`.
    pub op: String,
    /// `"ok"`, or the errno's name.
    pub result: String,
    /// 0, or the errno.
    pub errno: i32,
    /// Protocol.
    pub proto: String,
    /// Address as requested.
    pub addr: String,
    /// Port as requested; `None` for the unix family.
    pub port: Option<u16>,
    /// Port afterwards; `None` where there is none.
    pub bound_port: Option<u16>,
    /// `SO_REUSEADDR` and `SO_REUSEPORT`, as far as set.
    pub options: Vec<String>,
    /// Inode of the socket's network namespace.
    pub netns: u64,
    /// Its name.
    pub netns_name: Option<String>,
    /// Inode of the socket, where the scenario could ask for it.
    pub inode: Option<u64>,
    /// Its descriptor, where the scenario knows it.
    pub fd: Option<i32>,
    /// The call came through `io_uring`.
    pub io_uring: bool,
    /// No call at all: a program inside the kernel bound the socket.
    pub kernel: bool,
    /// Process that called.
    pub binder: Binder,
    /// It was over before the scenario let portwatch start (`--pause`).
    pub before_tracing: bool,
    /// What portwatch must report of the failure; `None` for a success.
    pub failure: Option<Failure>,
}

/// Who called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binder {
    /// Process id.
    pub pid: u32,
    /// Thread id; `None` for a worker thread of the kernel.
    pub tid: Option<u32>,
    /// Real user id.
    pub uid: u32,
    /// Name of the leader thread, made valid UTF-8.
    pub comm: String,
    /// Executable.
    pub exe: PathBuf,
    /// Arguments, made valid UTF-8; `None` where the scenario does not know them.
    pub cmdline: Option<Vec<String>>,
}

/// What portwatch must report of a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The verdict's cause; `None` if there must be no verdict.
    pub cause: Option<String>,
    /// The kernel's present state does not show the cause, only earlier events did: for a socket older than portwatch
    /// the cause may be `unknown` as well.
    pub cause_needs_history: bool,
    /// The cause if the socket is older than portwatch, where that is another one. Then nothing else is demanded of the
    /// verdict.
    pub cause_when_late: Option<String>,
    /// Causes that portwatch may report in its place. Then nothing else is demanded of the verdict.
    pub cause_or: Vec<String>,
    /// The process that let go of the port during the call. Where the kernel gives cookies (5.12) it is named, and no other
    /// is anywhere.
    pub released_by: Option<u32>,
    /// The stage that refused; `None` where the scenario does not say.
    pub stage: Option<String>,
    /// Causes that must be in `also`, in any order, beside others.
    pub also: Vec<String>,
    /// The blocker that must be the primary one.
    pub primary: Option<Primary>,
    /// Of the unix family: who must be found to have the name.
    pub named: Option<Named>,
    /// Each must occur in one of the remedies.
    pub remedies_must_contain: Vec<String>,
    /// None of these may occur in a remedy.
    pub remedies_must_not_contain: Vec<String>,
    /// Each must occur in one of `would_succeed_if`.
    pub would_succeed_if_contains: Vec<String>,
    /// None of these may occur in `would_succeed_if`.
    pub would_succeed_if_must_not_contain: Vec<String>,
}

/// Who has a name of the unix family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// What is at the path; `None` for an abstract name.
    pub file: Option<String>,
    /// Whether a process has a socket of this name open.
    pub served: Option<bool>,
    /// Who has.
    pub holder_pids: Vec<u32>,
}

/// The blocker to act on first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Primary {
    /// State.
    pub state: String,
    /// Of a mini-socket: which kind.
    pub substate: Option<String>,
    /// Local address and port.
    pub addr: String,
    /// Its port.
    pub port: u16,
    /// Port of the peer, of a connection.
    pub remote_port: Option<u16>,
    /// The process that got the socket, or left it behind.
    pub owner_pid: Option<u32>,
    /// Whether that process lives when it is asked.
    pub owner_alive: Option<bool>,
    /// Processes that have a descriptor of it.
    pub holder_pids: Vec<u32>,
    /// What keeps it open where nobody has a descriptor, and the process that does.
    pub kept_by: Option<(String, u32)>,
    /// Options of the blocking socket, as for [`Expected::options`].
    pub options: Vec<String>,
    /// The scenario let portwatch start only after the socket had got its port.
    pub before_tracing: bool,
    /// How it came to who has it open; told of what was inherited while portwatch was there.
    pub inherited: Option<Inherited>,
    /// The signal that its owner was sent, and the pid of who sent it.
    pub stopping: Option<(String, u32)>,
    /// On whose behalf its holder keeps it.
    pub on_behalf_of: Option<Proxy>,
    /// Others conflict too, and the kernel may have refused for one of them: it stops at the first.
    pub one_of_many: bool,
}

/// How a socket came to a process that did not bind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inherited {
    /// Process id of who bound it.
    pub from: u32,
    /// Whether that lives.
    pub from_alive: bool,
    /// Process id of who has it open.
    pub to: u32,
    /// `fork` or `exec`, in order; the last one is of `to`.
    pub steps: Vec<String>,
}

/// On whose behalf a proxy holds a socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "docs/records.md describes them")]
pub struct Proxy {
    pub role: String,
    pub target: Option<String>,
    /// Id of the container.
    pub container: Option<String>,
}

/// Which record tells a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    Port,
    TimeWait,
}

impl Kind {
    /// The record's type.
    #[must_use]
    pub const fn record(self) -> &'static str {
        match self {
            Self::Port => "port",
            Self::TimeWait => "time_wait",
        }
    }
}

/// Something that becomes of a watched port, on 127.0.0.1. The fields are those of the record, which say more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "docs/records.md describes them")]
pub struct Change {
    pub kind: Kind,
    pub action: String,
    pub proto: String,
    /// The watched port.
    pub port: u16,
    pub netns: u64,
    /// Port of the other end, if it is connected.
    pub peer: Option<u16>,
    /// Process id of the owner.
    pub owner: Option<u32>,
    pub how: Option<String>,
    pub substate: Option<String>,
    pub reason: Option<String>,
    pub reused_by: Option<String>,
    /// Least and most, without what timers are late; of a `leave`.
    pub lasted_ms: Option<(u64, u64)>,
    /// `connect()` or `accept()` made the socket's connection.
    pub connected: bool,
    /// The socket has been bound, and no more.
    pub only_bound: bool,
    /// A `rearm` that comes so soon that it moves the end by less than can be noticed when that is due.
    pub brief: bool,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".into());
        let number = |value: Option<String>| known(&value);
        write!(
            f,
            "{} {} {} {} {} {}",
            self.action,
            number(self.peer.map(|port| port.to_string())),
            known(&self.how),
            known(&self.substate),
            known(&self.reason),
            number(self.owner.map(|pid| pid.to_string())),
        )
    }
}
