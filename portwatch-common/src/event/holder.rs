//! A row of the `iter/task_file` program: a file descriptor that is a socket.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::socket::Socket;

/// A holder: a process with a descriptor of a socket.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Holder {
    /// When the row was made: `CLOCK_BOOTTIME`, ns.
    pub boot_ns: u64,
    /// When the process started: `CLOCK_BOOTTIME`, ns.
    pub start_boot_ns: u64,
    /// Process id.
    pub tgid: u32,
    /// The descriptor.
    pub fd: u32,
    /// Name of the leader thread.
    pub comm: [u8; 16],
    /// The socket.
    pub socket: Socket,
}

impl Holder {
    /// Nothing is known.
    pub const NONE: Self = zerocopy::transmute!([0u8; size_of::<Self>()]);
}
