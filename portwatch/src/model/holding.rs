//! How a socket is held where a descriptor of its owner does not say it all: inherited, in flight, by a call under way,
//! or on behalf of somebody else.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::process::{Container, Process};

/// How a socket came from the process that bound it to one that has it open now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Inheritance {
    /// Who bound it, named as it was called then.
    pub from: Process,
    /// Whether that process lives; `None` when that cannot be told.
    pub from_alive: Option<bool>,
    /// Who has it open now.
    pub to: Process,
    /// From the one to the other, in order; never empty.
    pub steps: Vec<Step>,
}

/// A fork or an exec that carried a descriptor on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// What it was.
    pub how: Via,
    /// When: RFC 3339.
    pub time: String,
    /// Of a fork the child, of an exec the process.
    pub pid: u32,
    /// Its name after that.
    pub comm: String,
    /// Its executable after that.
    pub exe: Option<String>,
}

/// What carries a descriptor on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// A child has every descriptor of its parent.
    Fork,
    /// What is not close-on-exec stays open.
    Exec,
}

/// What keeps a socket open of which no process has a descriptor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeptBy {
    /// What it is.
    pub how: Keeping,
    /// Of [`Keeping::Message`] who can receive it; else who has not let go of it.
    pub process: Process,
    /// The thread whose call is under way.
    pub tid: Option<u32>,
    /// Of [`Keeping::Message`] the unix socket that it waits in; of [`Keeping::Call`] the number that the socket had; of
    /// [`Keeping::IoUring`] the ring.
    pub fd: Option<u32>,
    /// The system call that is under way.
    pub call: Option<String>,
    /// Who sent the message, where the kernel has kept it, and if it lives.
    pub sender: Option<Process>,
    /// Others keep it too: processes that have that unix socket or that ring, or other calls.
    #[serde(default)]
    pub shared: bool,
}

/// A reference that is no descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Keeping {
    /// A message with the descriptor (`SCM_RIGHTS`) has not been received.
    Message,
    /// A system call that began before the descriptor was closed.
    Call,
    /// An `io_uring` has it registered, or a request of it under way.
    IoUring,
}

/// Whom a process has a socket for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OnBehalfOf {
    /// What the holder is.
    pub role: Role,
    /// Where it passes connections on, as its arguments say: an address, a host, a pod.
    pub target: Option<String>,
    /// The container behind it.
    pub container: Option<Container>,
    /// The unit that it holds the socket for.
    pub unit: Option<String>,
}

/// What a process is that has sockets for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It starts a service when somebody connects, and hands the socket on.
    ServiceManager,
    /// It relays connections to a container, a pod or another host.
    PortProxy,
}

/// The name in the unix family that was refused, and who has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnixName {
    /// It is an abstract name, and no path.
    #[serde(rename = "abstract", default)]
    pub is_abstract: bool,
    /// What is at the path now; `None` for an abstract name, and where that cannot be seen.
    pub file: Option<FileKind>,
    /// Whether a process has a socket of this name open; of a path, one that is bound to this very file. `None` where that
    /// cannot be told.
    pub served: Option<bool>,
    /// The sockets that have the name, those that listen first.
    pub sockets: Vec<UnixSocket>,
}

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// A socket file.
    Socket,
    /// A directory, a regular file, or another kind that no socket has made.
    Other,
    /// Nothing (any more).
    Missing,
}

/// A socket of the unix family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnixSocket {
    /// It listens.
    pub listening: bool,
    /// Inode, as `/proc/PID/fd` shows it.
    pub inode: u64,
    /// Who has it open.
    pub holders: Vec<super::process::Holder>,
}
