//! An attempt to get a port, and its blockers.

use crate::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    freed::Freed,
    inheritance::Inheritance,
    keeper::Keeper,
    number::Big,
    process::{Holder, Owner, Process},
    proxy::Proxy,
    socket::{Address, Proto, SocketOption, State},
    unix::UnixName,
    verdict::{Cause, Certainty, Clause, Verdict},
};

/// Which call it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// `bind()`.
    Bind,
    /// `listen()` on a socket that has a port.
    Listen,
    /// `listen()` on a socket without a port.
    Autobind,
}

impl Op {
    /// As JSON and text spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Listen => "listen",
            Self::Autobind => "autobind",
        }
    }
}

/// The socket that the attempt was made on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SocketId {
    /// The descriptor.
    pub fd: Option<i32>,
    /// Inode, as `/proc/PID/fd` shows it.
    pub inode: Option<u64>,
    /// Cookie, as `ss -e` shows it (there in hexadecimal); `None` while the kernel has given it none.
    pub cookie: Option<Big>,
}

/// Which part of the kernel refused a call. `bind()` passes them in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// A seccomp filter, before the call began.
    Seccomp,
    /// The system call itself: a bad descriptor, or an address that cannot be read.
    Syscall,
    /// A security module (`security_socket_bind`).
    Lsm,
    /// A BPF program of the control group, before the bind.
    Cgroup,
    /// The checks of the address, and of the socket's state.
    Address,
    /// The port: another socket has it, or none is free.
    Port,
    /// A BPF program of the control group, after the port was given.
    CgroupPost,
    /// The protocol's own bind (unix, raw, ICMP, SCTP).
    Protocol,
}

/// What the functions below a call returned; `None` for one that did not end within the call, as far as was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StageResults {
    /// `security_socket_bind()`.
    pub security: Option<i32>,
    /// `inet_bind()` and its siblings.
    pub family: Option<i32>,
    /// `__inet_bind()` and `__inet6_bind()`.
    pub address: Option<i32>,
    /// `inet_csk_get_port()` and `udp_lib_get_port()`: 1 or a negative errno if it failed.
    pub port: Option<i32>,
}

/// What the verdict used beside the options and the sockets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts of one record, independent of each other"
)]
pub struct Facts {
    /// When the call began: nanoseconds since boot; `None` when its entry was not seen.
    pub began_boot_ns: Option<Big>,
    /// The uid that the kernel compares for `SO_REUSEPORT`: fixed when the socket was created.
    pub socket_uid: Option<u32>,
    /// Interface index of `SO_BINDTODEVICE`, 0 for none.
    pub device_index: u32,
    /// The port the socket already had.
    pub already_bound: bool,
    /// The automatic port range, both ends included.
    pub port_range: Option<[u16; 2]>,
    /// The requested port is in `ip_local_reserved_ports`.
    pub port_reserved: Option<bool>,
    /// `ip_unprivileged_port_start`.
    pub unprivileged_port_start: Option<u32>,
    /// The caller had `CAP_NET_BIND_SERVICE` in its effective set.
    pub cap_net_bind_service: bool,
    /// The call came through `io_uring`.
    pub io_uring: bool,
    /// The entry of the call was not seen.
    pub entry_unseen: bool,
    /// The address was read when the call returned (it was not in memory before).
    pub address_read_late: bool,
    /// The call is known to have begun while tracing; without an entry, because its process is younger than the tracing.
    #[serde(default)]
    pub began_while_tracing: bool,
    /// No system call: the kernel bound the socket for itself, or a BPF program did.
    #[serde(default)]
    pub kernel: bool,
    /// A 32-bit system call.
    #[serde(default)]
    pub compat: bool,
    /// Length of the address, in bytes, as the caller gave it; `None` where it was not seen, and for `listen()`.
    pub addrlen: Option<u32>,
    /// How far the call got; `None` where no function of it was seen.
    pub stages: Option<StageResults>,
}

/// A call that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    /// Which call.
    pub op: Op,
    /// `"ok"`, or the errno's name.
    pub result: String,
    /// 0, or the errno.
    pub errno: u32,
    /// What refused it; `None` for a success, and where that is not known.
    pub stage: Option<Stage>,
    /// Protocol.
    pub proto: Proto,
    /// The address as requested; for the unix family the path, with a leading `@` for an abstract name.
    pub addr: Option<String>,
    /// The port as requested (0: any); `None` where there is none.
    pub port: Option<u16>,
    /// The port that the socket has now.
    pub bound_port: Option<u16>,
    /// Inode of the socket's network namespace.
    pub netns: Option<u32>,
    /// Its cookie, unique for the uptime; an inode may be given again. `None` where the kernel has none.
    #[serde(default)]
    pub netns_cookie: Option<Big>,
    /// Its name, where `ip netns` or a container gives it one.
    #[serde(default)]
    pub netns_name: Option<String>,
    /// `SO_BINDTODEVICE`.
    pub device: Option<String>,
    /// Options of the socket.
    pub options: Vec<SocketOption>,
    /// Who called.
    pub process: Process,
    /// On which socket.
    pub socket: SocketId,
    /// What the verdict used.
    pub facts: Facts,
    /// What came of it, if it failed.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

/// What a failed attempt has beside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// Sockets on the port, those that conflict first; the primary is what to act on.
    pub blockers: Vec<Blocker>,
    /// How many sockets were on the port, by state; `None` when the table was not walked.
    pub blocker_counts: Option<BlockerCounts>,
    /// Who has the automatic port range, if the kernel found no free port in it.
    pub range_use: Option<RangeUse>,
    /// Of the unix family, refused with `EADDRINUSE`: who has the name.
    #[serde(default)]
    pub unix: Option<UnixName>,
    /// A socket that overlaps with what was asked for, and gave its port back while the call was under way.
    #[serde(default)]
    pub released: Option<Freed>,
    /// `None` for an errno that says everything by itself.
    pub verdict: Option<Verdict>,
    /// The episode that this failure belongs to.
    pub episode: Option<u64>,
}

/// A socket on the requested port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts of one socket, independent of each other"
)]
pub struct Blocker {
    /// Its state.
    pub state: State,
    /// Of a mini-socket: `time_wait` or `fin_wait2`.
    pub substate: Option<State>,
    /// Where it is bound.
    pub local: Address,
    /// Where it is connected.
    pub remote: Option<Address>,
    /// Its options.
    pub options: Vec<SocketOption>,
    /// The uid that the kernel compares.
    pub uid: Option<u32>,
    /// Inode; `None` without a `struct socket` (nobody can reach it).
    pub inode: Option<u64>,
    /// Cookie; `None` while the kernel has given it none.
    pub cookie: Option<Big>,
    /// Since when it has the port (RFC 3339); `None` when that was before tracing, or was not seen.
    pub since: Option<String>,
    /// Scope of a link-local address; `None` where there is none.
    pub scope_id: Option<u32>,
    /// `SO_BINDTODEVICE`.
    pub device: Option<String>,
    /// Interface index of `SO_BINDTODEVICE`, 0 for none.
    pub device_index: u32,
    /// Of a `TIME_WAIT`: time left, a lower bound.
    pub expires_in_ms: Option<u64>,
    /// Its port was picked by `connect()`: true or false where that is known.
    pub connected_out: Option<bool>,
    /// Its program chose the port with `bind()`; false of an accepted connection and of one whose port `connect()`
    /// picked. `None` where it cannot be read: a `TIME_WAIT` keeps no trace of it.
    pub port_bound: Option<bool>,
    /// The kernel made it for itself.
    pub kernel_socket: bool,
    /// The kernel was seen to compare it with the new socket, under its lock, and to refuse.
    #[serde(default)]
    pub kernel_refused: bool,
    /// The one to act on first.
    pub primary: bool,
    /// It conflicts by the kernel's rule; `None` when a deciding fact is missing.
    pub conflicts: Option<bool>,
    /// It took the port after the attempt began, so it cannot have refused it.
    pub came_later: bool,
    /// The clause of the rule.
    pub clause: Clause,
    /// How sure it is.
    pub certainty: Certainty,
    /// Who it belongs to.
    pub owner: Option<Owner>,
    /// Who has a descriptor of it now.
    pub holders: Vec<Holder>,
    /// How a holder that did not bind it came by it, where that was seen.
    #[serde(default)]
    pub inherited: Option<Box<Inheritance>>,
    /// What keeps it open where nobody has a descriptor, as far as that can be seen.
    #[serde(default)]
    pub kept_by: Option<Box<Keeper>>,
    /// On whose behalf its holder keeps it.
    #[serde(default)]
    pub on_behalf_of: Option<Box<Proxy>>,
}

/// How many sockets were on the port in this namespace, by state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "named after the states")]
pub struct BlockerCounts {
    pub listen: u32,
    pub bound: u32,
    pub established: u32,
    pub syn_sent: u32,
    pub syn_recv: u32,
    pub close_wait: u32,
    pub fin_wait1: u32,
    pub fin_wait2: u32,
    pub last_ack: u32,
    pub closing: u32,
    pub time_wait: u32,
    /// There were more: the numbers are lower bounds.
    pub truncated: bool,
    /// More sockets than `blockers` shows.
    pub blockers_truncated: bool,
}

impl BlockerCounts {
    /// True if there was no socket on the port, and the whole table was looked at.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Who has the ports of the automatic range, as far as open descriptors show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RangeUse {
    /// Ports of the range, both ends included.
    pub size: u32,
    /// Ports on which a process has a socket of this protocol open, in this namespace. The others belong to no process
    /// (`TIME_WAIT` and other remains of connections), are reserved, or cannot be seen.
    pub open: u32,
    /// Processes, those with the most ports first; at most five.
    pub by: Vec<RangeUser>,
}

impl RangeUse {
    /// How many processes are named.
    pub const NAMED: usize = 5;
}

/// A process that has ports of the automatic range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RangeUser {
    /// The process.
    pub process: Process,
    /// How many ports.
    pub ports: u32,
}

impl Failure {
    /// The process whose socket blocked it: that of the primary blocker, or what is known to have had the address.
    #[must_use]
    pub fn in_the_way(&self) -> Option<&Process> {
        if let Some(primary) = self.blockers.iter().find(|blocker| blocker.primary) {
            let owner = primary.owner.as_ref().map(|owner| &owner.process);
            return owner.or_else(|| Some(&primary.holders.first()?.process));
        }
        if self.verdict.as_ref().map(|verdict| verdict.cause) == Some(Cause::ReleasedJustNow) {
            return self.released.as_ref()?.owner.as_ref();
        }
        let sockets = &self.unix.as_ref()?.sockets;
        let mut holders = sockets.iter().flat_map(|socket| &socket.holders);
        Some(&holders.next()?.process)
    }
}
