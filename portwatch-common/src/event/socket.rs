//! A kernel socket, as its fields stood at one instant.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::endpoint::Endpoint;

/// `TCP_ESTABLISHED` and its siblings of `include/net/tcp_states.h`.
pub mod state {
    /// A connection; also a connected UDP socket.
    pub const ESTABLISHED: u8 = 1;
    /// `connect()` is under way.
    pub const SYN_SENT: u8 = 2;
    /// A SYN has been answered (a full socket of a simultaneous open or of fast open).
    pub const SYN_RECV: u8 = 3;
    /// Closed by us, the FIN is not acknowledged.
    pub const FIN_WAIT1: u8 = 4;
    /// Closed by us, the peer has not closed.
    pub const FIN_WAIT2: u8 = 5;
    /// A mini-socket; its substate says `TIME_WAIT` or `FIN_WAIT2`.
    pub const TIME_WAIT: u8 = 6;
    /// Neither connected nor listening: with a port, this is "bound".
    pub const CLOSE: u8 = 7;
    /// The peer has closed, we have not.
    pub const CLOSE_WAIT: u8 = 8;
    /// Closed by both, our FIN is not acknowledged.
    pub const LAST_ACK: u8 = 9;
    /// A listener.
    pub const LISTEN: u8 = 10;
    /// Closed by both at the same time.
    pub const CLOSING: u8 = 11;
    /// A request mini-socket; never in a bind bucket.
    pub const NEW_SYN_RECV: u8 = 12;
    /// One more than the highest state.
    pub const COUNT: usize = 13;
}

/// Bits of [`Socket::flags`].
pub mod flag {
    /// `SO_REUSEPORT`.
    pub const REUSEPORT: u32 = 1 << 0;
    /// `IPV6_V6ONLY` (the kernel also sets it on a socket bound to a specific IPv6 address).
    pub const V6ONLY: u32 = 1 << 1;
    /// The socket has a reuseport group or program (`sk_reuseport_cb`).
    pub const REUSEPORT_CB: u32 = 1 << 2;
    /// It has a `struct socket`: a process can reach it. Orphans and connections not yet accepted have none.
    pub const HAS_SOCKET: u32 = 1 << 3;
    /// Its `struct socket` has a file. Kernel sockets have none.
    pub const HAS_FILE: u32 = 1 << 4;
    /// `sk_kern_sock`: made by the kernel for itself.
    pub const KERN_SOCK: u32 = 1 << 5;
    /// `SOCK_BINDADDR_LOCK`: its program chose the address.
    pub const BINDADDR_LOCK: u32 = 1 << 6;
    /// `SOCK_BINDPORT_LOCK`: its program chose the port.
    pub const BINDPORT_LOCK: u32 = 1 << 7;
    /// `SOCK_CONNECT_BIND` or `tw_connect_bind` is set: `connect()` chose the port (Linux 6.18 and later).
    pub const CONNECT_BIND: u32 = 1 << 8;
    /// This kernel keeps [`CONNECT_BIND`]; where it is clear, nothing follows from that bit being clear.
    pub const CONNECT_BIND_KNOWN: u32 = 1 << 9;
    /// [`super::Socket::uid`] is meaningful.
    pub const UID_KNOWN: u32 = 1 << 10;
    /// The bucket's `fastreuse` and `fastreuseport` were both -1: every socket in it got its port from `connect()`.
    pub const BUCKET_CONNECT_ONLY: u32 = 1 << 11;
    /// Found through portwatch's own index and not by the walk.
    pub const FROM_INDEX: u32 = 1 << 12;
    /// The kernel itself compared it with the binder under its lock, and refused for it. The facts are of that instant.
    pub const EXACT: u32 = 1 << 13;
}

/// A socket's facts. A `TIME_WAIT` mini-socket has no uid, inode or protocol of its own; those are zero.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Socket {
    /// Its address in the kernel: identity at one instant, recycled soon after. Never shown.
    pub sk: u64,
    /// `sk_cookie`: unique for the uptime; 0 while nobody has asked for it.
    pub cookie: u64,
    /// Inode of its `struct socket` (what `/proc/PID/fd` shows); 0 without one.
    pub inode: u64,
    /// `net_cookie` of its network namespace: unique for the uptime; 0 where the kernel has none.
    pub netns_cookie: u64,
    /// Jiffies until the timer of a `TIME_WAIT` mini-socket is due; negative when it is overdue.
    pub expires_in_jiffies: i64,
    /// Where it is bound.
    pub local: Endpoint,
    /// Where it is connected.
    pub remote: Endpoint,
    /// Inode of its network namespace.
    pub netns: u32,
    /// The uid that the kernel compares for `SO_REUSEPORT`; see [`flag::UID_KNOWN`].
    pub uid: u32,
    /// `SO_BINDTODEVICE`: interface index, 0 for none.
    pub bound_dev_if: u32,
    /// [`flag`] bits.
    pub flags: u32,
    /// `IPPROTO_*`.
    pub protocol: u16,
    /// `SOCK_*` type.
    pub socket_type: u16,
    /// [`state`].
    pub state: u8,
    /// Of a `TIME_WAIT` mini-socket: [`state::TIME_WAIT`] or [`state::FIN_WAIT2`].
    pub substate: u8,
    /// `sk_reuse`: 0, 1 (`SO_REUSEADDR`) or 2 (forced, for checkpoint and restore).
    pub reuse: u8,
    /// Reserved, zero.
    pub reserved: u8,
}

impl Socket {
    /// Nothing is known.
    pub const NONE: Self = zerocopy::transmute!([0u8; size_of::<Self>()]);
}
