//! Keys, values and sizes of the maps that both sides touch.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Calls that can be under way at the same time.
pub const CALL_ENTRIES: u32 = 16_384;
/// Refusals of calls that have not returned yet.
pub const EXACT_ENTRIES: u32 = 1024;
/// Slots for owners of connections, 72 bytes each; a power of two.
pub const OWNER_SLOTS: u32 = 1 << 17;
/// Slots for owners of bound sockets, 72 bytes each; a power of two.
pub const BOUND_OWNER_SLOTS: u32 = 1 << 15;
/// Slots for processes that user space knows; a power of two.
pub const PROCESS_SLOTS: u32 = 1 << 14;
/// Bytes of the map of ports: one for each.
pub const PORTS: usize = 65_536;
/// Mini-sockets that the `recheck` iterator looks up at once.
pub const RECHECKS: usize = 64;

/// Bits of a port's byte.
pub mod port {
    /// The user asked for it (`--port`): everything that happens to it is streamed.
    pub const ASKED: u8 = 1 << 0;
    /// A call was refused it: binds and outgoing connections are streamed, accepted connections are not.
    pub const REFUSED: u8 = 1 << 1;
    /// A call for it failed: a success may end the same episode.
    pub const FAILED: u8 = 1 << 2;
}

/// Bits of the `SWITCHES` map, which the loader sets after it has attached the hooks.
pub mod switch {
    /// Ports are reported from changes of state: hooks on the functions that take and release them are not attached.
    pub const PORTS_FROM_STATES: u32 = 1 << 0;
    /// The same for `TIME_WAIT`s.
    pub const TIME_WAITS_FROM_STATES: u32 = 1 << 1;
}

/// Places of the `QUERY` map: questions of user space to iterators.
pub mod query {
    /// One more than the descriptor of the reader whose file it asks about; 0 for none.
    pub const FD: usize = 0;
    /// Address of the socket whose waiters it asks about.
    pub const SK: usize = 1;
    /// Inode of that socket.
    pub const INODE: usize = 2;
    /// How many places there are.
    pub const LEN: usize = 3;
}

/// A process whose record was sent, and its state at that time.
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

/// Addresses of sockets that were bound to a port. Readers look at each socket again before they believe it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct PortIndex {
    /// When a socket last began to listen on the port (`CLOCK_BOOTTIME`, ns), or was seen to listen; 0 for never.
    pub listened_ns: u64,
    /// `struct sock *`; 0 for a free way.
    pub sk: [u64; INDEX_WAYS],
}
