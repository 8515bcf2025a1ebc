//! A watched port that somebody got, or gave back.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Header, owner::Owner, socket::Socket};

/// What happened.
pub mod action {
    /// A socket has the port from now on.
    pub const TAKEN: u32 = 1;
    /// The socket has it no longer. Its `TIME_WAIT` may, and so may connections.
    pub const RELEASED: u32 = 2;
    /// A socket that had bound the port before has a connection from it. Not told; a `TIME_WAIT` of the same ends is over.
    pub const CONNECTED: u32 = 3;
}

/// How the socket got it.
pub mod how {
    /// Not known (of a release).
    pub const UNKNOWN: u32 = 0;
    /// `bind()`, or `listen()` without it.
    pub const BIND: u32 = 1;
    /// `connect()` picked it as source port.
    pub const CONNECT: u32 = 2;
    /// A listener's connection has it, too.
    pub const ACCEPT: u32 = 3;
}

/// Bits of [`Port::flags`].
pub mod flag {
    /// Told from a change of state, which comes shortly after what it tells.
    pub const INFERRED: u32 = 1 << 0;
}

/// A port that was taken or released.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Port {
    /// The common header.
    pub header: Header,
    /// The socket. Its local port is filled in even where the kernel has cleared it already.
    pub socket: Socket,
    /// Its owner; all zero when none was recorded.
    pub owner: Owner,
    /// [`action`].
    pub action: u32,
    /// [`how`].
    pub how: u32,
    /// [`flag`] bits.
    pub flags: u32,
    /// Reserved, zero.
    pub reserved: u32,
}
