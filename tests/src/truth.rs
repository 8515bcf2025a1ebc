//! What a scenario knows to be true, in one line of JSON.

use std::path::PathBuf;

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
    /// Inode of the socket, where the scenario could ask for it.
    pub inode: Option<u64>,
    /// Its descriptor, where the scenario knows it.
    pub fd: Option<i32>,
    /// The call came through `io_uring`.
    pub io_uring: bool,
    /// Process that called.
    pub binder: Binder,
    /// It was over before the scenario let portwatch start (`--pause`).
    pub before_tracing: bool,
    /// What must be said of the failure; `None` for a success.
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

/// What must be said of a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The verdict's cause; `None` if there must be no verdict.
    pub cause: Option<String>,
    /// The cause cannot be told from what the kernel has now, only from what was seen: for a socket older than portwatch
    /// the cause may be `unknown` as well.
    pub cause_needs_history: bool,
    /// The stage that refused; `None` where the scenario does not say.
    pub stage: Option<String>,
    /// Causes that must be in `also`, in any order, beside others.
    pub also: Vec<String>,
    /// The blocker that must be the primary one.
    pub primary: Option<Primary>,
    /// Each must occur in one of the remedies.
    pub remedies_must_contain: Vec<String>,
    /// None of these may occur in a remedy.
    pub remedies_must_not_contain: Vec<String>,
    /// Each must occur in one of `would_succeed_if`.
    pub would_succeed_if_contains: Vec<String>,
    /// None of these may occur in `would_succeed_if`.
    pub would_succeed_if_must_not_contain: Vec<String>,
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
    /// Options of the blocking socket, as for [`Expected::options`].
    pub options: Vec<String>,
    /// The scenario let portwatch start only after the socket had got its port.
    pub before_tracing: bool,
    /// Others are in the way too, and the kernel may have refused for one of them: it stops at the first.
    pub one_of_many: bool,
}
