//! A `TIME_WAIT` mini-socket of a watched port: its beginning, its re-arming, its end.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Header, owner::Owner, socket::Socket};

/// What happened.
pub mod action {
    /// It began; [`super::Socket::substate`] tells what it waits for.
    pub const ENTER: u32 = 1;
    /// The kernel set its timer again.
    pub const REARM: u32 = 2;
    /// It ended.
    pub const LEAVE: u32 = 3;
}

/// Why it ended.
pub mod reason {
    /// Not known, or it has not ended.
    pub const UNKNOWN: u32 = 0;
    /// Its time was over.
    pub const EXPIRED: u32 = 1;
    /// It was ended from outside: by a reset, by an administrator, or with its namespace.
    pub const KILLED: u32 = 2;
    /// A SYN of the same peer took its place (`TCP_TW_SYN`).
    pub const REUSED_BY_SYN: u32 = 3;
    /// A `connect()` to the same peer took its place (`tcp_twsk_unique()`).
    pub const REUSED_BY_CONNECT: u32 = 4;
}

/// Bits of [`TimeWait::flags`].
pub mod flag {
    /// Told from a change of state or from looking again, not by the function that did it.
    pub const INFERRED: u32 = 1 << 0;
}

/// A change of a `TIME_WAIT` mini-socket.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct TimeWait {
    /// The common header.
    pub header: Header,
    /// The mini-socket, with the time that its timer has left.
    pub socket: Socket,
    /// Who left it; all zero when that was not recorded.
    pub owner: Owner,
    /// Where its network namespace is in the kernel: to look it up again ([`Recheck`]). Never shown.
    pub net: u64,
    /// Hash of the connection: to look it up again.
    pub hash: u32,
    /// [`action`].
    pub action: u32,
    /// [`reason`].
    pub reason: u32,
    /// [`flag`] bits.
    pub flags: u32,
}

/// A mini-socket that is looked up again by the `recheck` iterator.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Recheck {
    /// [`TimeWait::net`].
    pub net: u64,
    /// Its address in the kernel; 0 ends the list.
    pub tw: u64,
    /// Its cookie; 0 if it has none.
    pub cookie: u64,
    /// [`TimeWait::hash`].
    pub hash: u32,
    /// Local port, host byte order, in the upper half; remote port in the lower one.
    pub ports: u32,
}

/// What a look at a mini-socket gave: a row of the `recheck` iterator.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Rechecked {
    /// When it was looked at: `CLOCK_BOOTTIME`, ns.
    pub boot_ns: u64,
    /// [`Recheck::tw`].
    pub tw: u64,
    /// Jiffies until its timer is due; negative when it is overdue.
    pub expires_in_jiffies: i64,
    /// Non-zero if it is still there.
    pub present: u32,
    /// [`super::socket::Socket::substate`] now.
    pub substate: u32,
}
