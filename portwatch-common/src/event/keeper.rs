//! Keepers: what keeps a socket open without a descriptor. Rows of the `messages` and `waiters` programs.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::holder::Holder;

/// A row of the `messages` program: a socket in a message that nobody has received.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Message {
    /// The process that can receive it, the descriptor for that, and the socket in the message.
    pub holder: Holder,
    /// Process id of the sender, if it lives; 0 where the kernel has not kept it.
    pub sender: u32,
    /// The message waits in a connection that has not been accepted; the descriptor is the listener's.
    pub unaccepted: u32,
}

/// Values of [`Waiter::how`].
pub mod how {
    /// A call of the thread's sleeps until something comes.
    pub const CALL: u32 = 1;
    /// `poll()`, `select()` or one of their kind does.
    pub const POLL: u32 = 2;
    /// A request of `io_uring` does.
    pub const IO_URING: u32 = 3;
}

/// A row of the `waiters` program: a thread that waits for the socket.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Waiter {
    /// When the process started: `CLOCK_BOOTTIME`, ns.
    pub start_boot_ns: u64,
    /// Process id.
    pub tgid: u32,
    /// The thread.
    pub tid: u32,
    /// [`how`].
    pub how: u32,
    /// Reserved, zero.
    pub reserved: u32,
    /// Name of the leader thread.
    pub comm: [u8; 16],
}
