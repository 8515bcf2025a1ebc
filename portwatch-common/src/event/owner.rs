//! Who a port belongs to, kept in the kernel for as long as it is taken: of a connection by its cookie, which its
//! `TIME_WAIT` inherits; of a bound socket by its inode, which it has from its first moment.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What the owner did when it was recorded.
pub mod role {
    /// It called `connect()`: the port is a source port.
    pub const CONNECTED: u32 = 1;
    /// It closed the connection.
    pub const CLOSED: u32 = 2;
    /// It bound the port, or listened without binding first.
    pub const BOUND: u32 = 4;
    /// It accepted the connection.
    pub const ACCEPTED: u32 = 8;
}

/// A slot of a direct-mapped array, indexed by the low bits of its key: `OWNERS` by cookie, `BINDERS` by inode.
///
/// The writer clears both keys, writes the rest, then sets them; a reader that sees both equal to the key that it looks
/// for has a whole record. Another key means that the record was overwritten (counted as evicted).
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Owner {
    /// The full key.
    pub key: u64,
    /// When it got the port, by `bind()` or `connect()` (`CLOCK_BOOTTIME`, ns); 0 when that was not seen.
    pub since_ns: u64,
    /// When it was closed (`CLOCK_BOOTTIME`, ns); 0 when that was not seen.
    pub closed_ns: u64,
    /// Start time of the process (`CLOCK_BOOTTIME`, ns).
    pub start_boot_ns: u64,
    /// Process id.
    pub tgid: u32,
    /// Parent's process id.
    pub ppid: u32,
    /// Real user id.
    pub uid: u32,
    /// Bit set of [`role`]: what was seen of it.
    pub roles: u32,
    /// Name of the process's leader thread.
    pub comm: [u8; 16],
    /// The full key again.
    pub key_again: u64,
}

impl Owner {
    /// Nothing was recorded.
    pub const NONE: Self = Self {
        key: 0,
        since_ns: 0,
        closed_ns: 0,
        start_boot_ns: 0,
        tgid: 0,
        ppid: 0,
        uid: 0,
        roles: 0,
        comm: [0; 16],
        key_again: 0,
    };
}
