//! What a process is: captured in the kernel, because `/proc` may be gone a moment later.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Header;

/// The task that made an attempt.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Task {
    /// When the process (its leader thread) started: `CLOCK_BOOTTIME`, ns.
    pub start_boot_ns: u64,
    /// Effective capabilities.
    pub cap_effective: u64,
    /// Process id, as the initial pid namespace numbers it.
    pub tgid: u32,
    /// Thread id.
    pub tid: u32,
    /// Parent's process id.
    pub ppid: u32,
    /// Real user id, as the initial user namespace numbers it.
    pub uid: u32,
    /// Inode of the network namespace that the process is in (a socket can be in another one).
    pub netns: u32,
    /// Process id, as its own (innermost) pid namespace numbers it; 0 where that is not known.
    pub ns_pid: u32,
    /// Name of the thread.
    pub comm: [u8; 16],
    /// Name of the leader thread: what tools show for the process.
    pub leader_comm: [u8; 16],
}

/// Bytes of argv that are kept.
pub const ARGV_LEN: usize = 512;
/// Bytes of path that are kept.
pub const PATH_LEN: usize = 512;

/// Bits of [`Process::flags`].
pub mod flag {
    /// Made at `execve()`; else at an attempt.
    pub const AT_EXEC: u32 = 1 << 0;
    /// The argument list is longer than what was kept.
    pub const ARGV_TRUNCATED: u32 = 1 << 1;
    /// The executable's path is deeper or longer than what was kept, so its beginning is missing.
    pub const EXE_TRUNCATED: u32 = 1 << 2;
    /// The cgroup's path is deeper or longer than what was kept, so its beginning is missing.
    pub const CGROUP_TRUNCATED: u32 = 1 << 3;
    /// The arguments could not be read (not in memory).
    pub const ARGV_UNREADABLE: u32 = 1 << 4;
}

/// A process, at exec or before its first attempt since then.
///
/// The two paths are lists of NUL-terminated names from the innermost outwards, as the kernel's parent pointers lead.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Process {
    /// The common header.
    pub header: Header,
    /// The task.
    pub task: Task,
    /// [`flag`] bits.
    pub flags: u32,
    /// Valid bytes of [`Process::argv`].
    pub argv_len: u32,
    /// Valid bytes of [`Process::exe`].
    pub exe_len: u32,
    /// Valid bytes of [`Process::cgroup`].
    pub cgroup_len: u32,
    /// Arguments, each ended by NUL.
    pub argv: [u8; ARGV_LEN],
    /// Names of the executable's path, innermost first.
    pub exe: [u8; PATH_LEN],
    /// Names of the cgroup's path, innermost first.
    pub cgroup: [u8; PATH_LEN],
}

/// A process whose record was streamed has ended (its last thread exited).
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Exit {
    /// The common header.
    pub header: Header,
    /// When it had started: `CLOCK_BOOTTIME`, ns.
    pub start_boot_ns: u64,
    /// Process id.
    pub tgid: u32,
    /// Exit code as in `wait(2)`.
    pub status: u32,
}

/// A process has made another one (`fork`, `vfork` or `clone` without `CLONE_THREAD`).
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Fork {
    /// The common header.
    pub header: Header,
    /// When the process had started that forked: `CLOCK_BOOTTIME`, ns.
    pub parent_start_boot_ns: u64,
    /// When the new one started.
    pub start_boot_ns: u64,
    /// Process id of the one that forked.
    pub parent_tgid: u32,
    /// Process id of the new one.
    pub tgid: u32,
    /// Name of both.
    pub comm: [u8; 16],
}

/// A process was sent a signal that ends those which do not handle it: `SIGTERM`, `SIGINT`, `SIGQUIT`, `SIGKILL`, or a
/// `SIGHUP` for which the process has no handler.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Signal {
    /// The common header.
    pub header: Header,
    /// When the process had started that it was sent to: `CLOCK_BOOTTIME`, ns.
    pub start_boot_ns: u64,
    /// When the sender had started; 0 if the kernel sent it by itself.
    pub sender_start_boot_ns: u64,
    /// Process id of the process that it was sent to.
    pub tgid: u32,
    /// Process id of the sender; 0 if the kernel sent it by itself.
    pub sender_tgid: u32,
    /// Number of the signal.
    pub signal: u32,
    /// Reserved, zero.
    pub reserved: u32,
    /// Name of the sender.
    pub sender_comm: [u8; 16],
}
