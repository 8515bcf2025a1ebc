//! A row of the `unix_sockets` program: a descriptor that is a socket of the unix family and has an address.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Values of [`UnixSocket::role`].
pub mod role {
    /// Whether the socket has the name itself is not known.
    pub const UNKNOWN: u8 = 0;
    /// It has the name: `bind()` gave it.
    pub const NAMED: u8 = 1;
    /// An accepted connection: it shows its listener's name, and does not have it.
    pub const ACCEPTED: u8 = 2;
    /// No socket of that kind: the file that the reader asked for.
    pub const FILE: u8 = 3;
}

/// Bytes that are kept of a name: more than the longest has (108).
pub const NAME_LEN: usize = 128;

/// A process that has a unix socket open.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct UnixSocket {
    /// Address of the inode of the file that it is bound to: identity while that is open. 0 without one. Never shown.
    pub file: u64,
    /// Inode of the socket, as `/proc/PID/fd` shows it.
    pub inode: u64,
    /// When the process started: `CLOCK_BOOTTIME`, ns.
    pub start_boot_ns: u64,
    /// Process id.
    pub tgid: u32,
    /// The descriptor.
    pub fd: u32,
    /// Inode of its network namespace.
    pub netns: u32,
    /// Length of the name, bytes: a path may end in NUL or not, an abstract name begins with it.
    pub name_len: u32,
    /// `SOCK_*` type.
    pub socket_type: u16,
    /// [`super::socket::state`]: listening, connected, or neither.
    pub state: u8,
    /// [`role`].
    pub role: u8,
    /// Reserved, zero.
    pub reserved: u32,
    /// Name of the leader thread.
    pub comm: [u8; 16],
    /// The name, zeros behind it.
    pub name: [u8; NAME_LEN],
}

impl UnixSocket {
    /// Nothing is known.
    pub const NONE: Self = zerocopy::transmute!([0u8; size_of::<Self>()]);
}
