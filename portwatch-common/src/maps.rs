//! Keys, values and sizes of the maps that both sides touch.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Calls that can be under way at the same time.
pub const CALL_ENTRIES: u32 = 16_384;
/// Refusals whose call has not returned yet.
pub const EXACT_ENTRIES: u32 = 1024;
/// Slots of the array of connections' owners; a power of two. 72 bytes each.
pub const OWNER_SLOTS: u32 = 1 << 17;
/// Slots of the array of bound sockets' owners; a power of two. 72 bytes each.
pub const BOUND_OWNER_SLOTS: u32 = 1 << 15;
/// Slots of the array of processes whose record was sent; a power of two.
pub const PROCESS_SLOTS: u32 = 1 << 14;
/// Bytes of the map of ports: one for each.
pub const PORTS: usize = 65_536;
/// Mini-sockets that are looked up again in one go.
pub const RECHECKS: usize = 64;

/// Bits of a port's byte.
pub mod port {
    /// The user asked for it: everything that becomes of it is streamed.
    pub const ASKED: u8 = 1 << 0;
    /// It was refused to somebody: streamed is who binds or connects from it, but not what a listener accepts.
    pub const REFUSED: u8 = 1 << 1;
    /// A call failed that asked for it: one that succeeds may be the end of the same episode.
    pub const FAILED: u8 = 1 << 2;
}

/// Bits of the `SWITCHES` map, which is set once it is known what could be attached.
pub mod switch {
    /// Ports are told from changes of state: the functions that take and give them back are not traced.
    pub const PORTS_FROM_STATES: u32 = 1 << 0;
    /// So are `TIME_WAIT`s.
    pub const TIME_WAITS_FROM_STATES: u32 = 1 << 1;
}

/// Places of the `QUERY` map: what iterators are asked for.
pub mod query {
    /// One more than the descriptor of the reader's whose file is wanted; 0 for none.
    pub const FD: usize = 0;
    /// Address of the socket whose waiters are wanted.
    pub const SK: usize = 1;
    /// Its inode.
    pub const INODE: usize = 2;
    /// How many places there are.
    pub const LEN: usize = 3;
}

/// A process whose record was sent, and the state in which it was.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct ProcessSlot {
    /// Start time: `CLOCK_BOOTTIME`, ns.
    pub start_boot_ns: u64,
    /// Its `css_set` then: another one means that it has moved to another control group.
    pub css_set: u64,
    /// Its process id.
    pub tgid: u32,
    /// Reserved, zero.
    pub reserved: u32,
}

/// A port of a network namespace.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct IndexKey {
    /// Inode of the network namespace.
    pub netns: u32,
    /// The port, host byte order.
    pub port: u32,
}

/// How many sockets the index keeps for a port.
pub const INDEX_WAYS: usize = 8;

/// Addresses of sockets that were bound to a port. Each is looked at anew before it is believed.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct PortIndex {
    /// When a socket last began to listen on the port (`CLOCK_BOOTTIME`, ns), or was seen to listen; 0 for never.
    pub listened_ns: u64,
    /// `struct sock *`; 0 for a free way.
    pub sk: [u64; INDEX_WAYS],
}
