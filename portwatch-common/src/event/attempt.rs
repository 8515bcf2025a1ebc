//! A `bind()` or `listen()` that has ended, and what the bind table held when it failed.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Header, owner::Owner, process::Task, socket};
use crate::endpoint::Endpoint;

/// Which call it was.
pub mod op {
    /// `bind()`.
    pub const BIND: u32 = 1;
    /// `listen()` on a socket that has a port.
    pub const LISTEN: u32 = 2;
    /// `listen()` on a socket without a port: the kernel picks one.
    pub const AUTOBIND: u32 = 3;
}

/// Bits of [`Attempt::flags`].
pub mod flag {
    /// The call's entry was not seen: refused before it began (seccomp), or under way when tracing started.
    pub const NO_ENTRY: u32 = 1 << 0;
    /// The address could not be read, neither on entry nor on return.
    pub const ADDRESS_UNREAD: u32 = 1 << 1;
    /// The address was not in memory on entry; it was read on return, when the caller may have changed it.
    pub const ADDRESS_READ_LATE: u32 = 1 << 2;
    /// The descriptor led to no socket.
    pub const NO_SOCKET: u32 = 1 << 3;
    /// Asked for through `io_uring`.
    pub const IO_URING: u32 = 1 << 4;
    /// The port that was asked for is in `ip_local_reserved_ports`.
    pub const PORT_RESERVED: u32 = 1 << 5;
    /// The facts in [`super::Attempt::netns`] were read.
    pub const NETNS_READ: u32 = 1 << 6;
    /// Not a system call: the kernel bound a socket for itself, or a BPF program did.
    pub const KERNEL: u32 = 1 << 7;
    /// A 32-bit system call.
    pub const COMPAT: u32 = 1 << 8;
}

/// Bits of [`Stages::reached`]: a function that ended within the call.
pub mod stage {
    /// `security_socket_bind()`: security modules.
    pub const SECURITY: u32 = 1 << 0;
    /// `inet_bind()` and its siblings: programs of the control group, then the rest.
    pub const FAMILY: u32 = 1 << 1;
    /// `__inet_bind()` or `__inet6_bind()`: checks of the address, then the port.
    pub const ADDRESS: u32 = 1 << 2;
    /// `inet_csk_get_port()` or `udp_lib_get_port()`: the port itself.
    pub const PORT: u32 = 1 << 3;
}

/// How far a call got, and what the functions below it returned. All zero where they are not traced.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Stages {
    /// Bit set of [`stage`].
    pub reached: u32,
    /// What [`stage::SECURITY`] returned.
    pub security: i32,
    /// What [`stage::FAMILY`] returned.
    pub family: i32,
    /// What [`stage::ADDRESS`] returned.
    pub address: i32,
    /// What [`stage::PORT`] returned: 1 or a negative errno if it failed.
    pub port: i32,
    /// Reserved, zero.
    pub reserved: u32,
}

impl Stages {
    /// Nothing was seen.
    pub const NONE: Self = Self {
        reached: 0,
        security: 0,
        family: 0,
        address: 0,
        port: 0,
        reserved: 0,
    };
}

/// Settings of the socket's network namespace that a verdict needs.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Netns {
    /// First port of `ip_local_port_range` (or of the socket's own `IP_LOCAL_PORT_RANGE`).
    pub range_low: u16,
    /// Last port of it, inclusive.
    pub range_high: u16,
    /// `ip_unprivileged_port_start`.
    pub unprivileged_port_start: u32,
}

impl Netns {
    /// Nothing was read.
    pub const NONE: Self = Self {
        range_low: 0,
        range_high: 0,
        unprivileged_port_start: 0,
    };
}

/// Length of a `sockaddr` that is kept: `sizeof(struct sockaddr_storage)`.
pub const SOCKADDR_LEN: usize = 128;

/// A call that has ended.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Attempt {
    /// The common header; its time is when the call returned.
    pub header: Header,
    /// When the call began: `CLOCK_BOOTTIME`, ns; 0 without an entry.
    pub enter_ns: u64,
    /// When its return was seen: `CLOCK_BOOTTIME`, ns. What began later cannot have refused it.
    pub returned_ns: u64,
    /// Who called.
    pub task: Task,
    /// The socket, as it stood after the call. After a failed bind its local address has been reset.
    pub socket: socket::Socket,
    /// Where the caller wanted to be; for `listen()`, where its socket was.
    pub requested: Endpoint,
    /// [`op`].
    pub op: u32,
    /// 0, or a positive errno.
    pub errno: u32,
    /// The file descriptor; -1 when unknown.
    pub fd: i32,
    /// Length that the caller gave for its address.
    pub addrlen: u32,
    /// [`flag`] bits.
    pub flags: u32,
    /// Size of the argument `backlog` of `listen()`.
    pub backlog: i32,
    /// The namespace's settings.
    pub netns: Netns,
    /// How far it got.
    pub stages: Stages,
    /// The address as the caller gave it (for a unix socket, its path).
    pub sockaddr: [u8; SOCKADDR_LEN],
}

/// How many sockets of a bucket are kept.
pub const CANDIDATES: usize = 16;

/// A socket of the same port, and who it belongs to where that was recorded.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Candidate {
    /// The socket.
    pub socket: socket::Socket,
    /// Its owner; all zero when none was recorded.
    pub owner: Owner,
}

/// Bits of [`Walk::flags`].
pub mod walk {
    /// The bucket was found.
    pub const BUCKET_FOUND: u32 = 1 << 0;
    /// The node budget ended before the bucket did: counts are lower bounds.
    pub const TRUNCATED: u32 = 1 << 1;
    /// More sockets than [`super::CANDIDATES`] could be kept.
    pub const CANDIDATES_TRUNCATED: u32 = 1 << 2;
    /// A node was not what it should be (the list changed under the walk).
    pub const DISTURBED: u32 = 1 << 3;
    /// The kernel's layout of the table is not known: nothing was walked.
    pub const UNSUPPORTED: u32 = 1 << 4;
    /// A socket listens on the port, or was seen to do so earlier.
    pub const HAD_LISTENER: u32 = 1 << 5;
}

/// What the bind table held for the port.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Walk {
    /// [`walk`] bits.
    pub flags: u32,
    /// Nodes looked at.
    pub visited: u32,
    /// Sockets on this port in this namespace, by state.
    pub counts: [u32; socket::state::COUNT],
    /// Valid entries of [`Walk::candidates`].
    pub candidates_len: u32,
    /// The sockets that were kept: first the one that the kernel itself refused for, where that was seen
    /// ([`socket::flag::EXACT`]), then those that can conflict.
    pub candidates: [Candidate; CANDIDATES],
}

/// An attempt that failed with `EADDRINUSE`, with the walk. Only the valid candidates are sent.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Conflict {
    /// The attempt.
    pub attempt: Attempt,
    /// The bind table.
    pub walk: Walk,
}
