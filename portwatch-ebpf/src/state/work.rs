//! Work areas, for records that are too large for the stack.
//!
//! A program has 512 bytes of stack; up to 6.12 the functions that it calls share them. An attempt with its walk takes
//! 3.4 kB.

use aya_ebpf::{macros::map, maps::PerCpuArray};
use portwatch_common::{
    event::{attempt::Conflict, keeper::Message, process::Process},
    maps::INDEX_WAYS,
    offsets::SOCK_COMMON_LEN,
};

/// Attempts under construction, by [`Context`].
#[map]
static WORK: PerCpuArray<Work> = PerCpuArray::with_max_entries(Context::COUNT, 0);

/// Process records under construction, by [`Context`].
#[map]
static PROCESS_WORK: PerCpuArray<ProcessWork> = PerCpuArray::with_max_entries(Context::COUNT, 0);

/// The search through queues of unix sockets.
#[map]
static MESSAGES: PerCpuArray<Search> = PerCpuArray::with_max_entries(1, 0);

/// The attempt under construction, and the walk that goes with it.
#[repr(C)]
pub struct Work {
    /// The record.
    pub conflict: Conflict,
    /// Its network namespace; 0 without one.
    pub net: u64,
    /// Its `struct socket`, if a descriptor led to it; else 0.
    pub socket: u64,
    /// The index's sockets of the port.
    pub indexed: [u64; INDEX_WAYS],
    /// State of the walk.
    pub cursor: Cursor,
    /// `struct sock_common` of the socket at hand.
    pub common: [u8; SOCK_COMMON_LEN],
}

impl Work {
    /// The work area of a context.
    #[inline(always)]
    pub fn of(context: u32) -> Option<*mut Self> {
        WORK.get_ptr_mut(Context::masked(context))
    }
}

/// State of a walk.
///
/// In a map and not on the stack: each step of the walk is a function of its own, which takes numbers only.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Cursor {
    /// Next socket of the list at hand: its list node.
    pub node: u64,
    /// Next per-address bucket: its list node (since 6.8).
    pub tb2: u64,
    /// First per-address bucket, for the second pass.
    pub tb2_first: u64,
    /// Offset of the list node in a socket.
    pub link: u32,
    /// 1: only the first socket of each per-address bucket; 2: all others.
    pub pass: u32,
    /// The next socket is the first of its bucket.
    pub at_head: u32,
    /// Every socket of the bucket got its port from `connect()`.
    pub connect_only: u32,
    /// The socket of the attempt, which does not block itself.
    pub binder: u64,
    /// Its namespace.
    pub net: u64,
    /// The port.
    pub port: u32,
    /// UDP's rule applies.
    pub udp: u32,
    /// Kept candidates that can conflict and are not `TIME_WAIT`.
    pub live: u32,
    /// Kept `TIME_WAIT`s that can conflict.
    pub time_wait: u32,
    /// Kept candidates that cannot conflict.
    pub harmless: u32,
    /// Place of the last kept candidate that can conflict and is not `TIME_WAIT`.
    pub last_live: u32,
    /// Place of the kept `TIME_WAIT` that ends last among those beyond the quota.
    pub last_time_wait: u32,
}

/// A process record under construction.
#[repr(C)]
pub struct ProcessWork {
    /// The record.
    pub record: Process,
    /// State of the path that is being written.
    pub cursor: PathCursor,
}

impl ProcessWork {
    /// The work area of a context.
    #[inline(always)]
    pub fn of(context: u32) -> Option<*mut Self> {
        PROCESS_WORK.get_ptr_mut(Context::masked(context))
    }
}

/// State of a path that is being written.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PathCursor {
    /// The next `dentry` or `kernfs_node`.
    pub node: u64,
    /// The mount of a `dentry`.
    pub mnt: u64,
    /// Bytes written.
    pub len: u32,
    /// The path is whole.
    pub whole: u32,
}

/// A search through the queues of unix sockets, and the row that it fills in.
#[repr(C)]
pub struct Search {
    /// The row.
    pub row: Message,
    /// Head of the queue at hand.
    pub head: u64,
    /// The next packet.
    pub skb: u64,
    /// The files of the packet before it.
    pub files: u64,
    /// Where the search goes on behind the connection at hand; 0 outside of one.
    pub outer_head: u64,
    /// The next packet there.
    pub outer_skb: u64,
    /// The next file, and how many there are.
    pub index: u32,
    /// How many files there are.
    pub count: u32,
    /// The queue is a listener's.
    pub listening: u64,
}

impl Search {
    /// The search of this CPU.
    #[inline(always)]
    pub fn current() -> Option<*mut Self> {
        MESSAGES.get_ptr_mut(0)
    }
}

/// Which work area of its CPU a program uses.
///
/// Two programs may share an area only if neither can run in the middle of the other. The kernel guarantees that of a
/// fentry or fexit program against itself alone (`prog->active`): others may preempt it, so each has an area of its
/// own.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Context {
    /// Tracepoints of system calls and of the scheduler. While one runs, the kernel skips all others on that CPU
    /// (`bpf_prog_active` in `trace_call_bpf()`). Since 7.2 it no longer does so for system calls; there
    /// [`crate::kernel::preempt`] keeps them apart.
    Tracepoint = 0,
    /// BTF tracepoints. They can run in a softirq, in the middle of the above.
    Btf = 1,
    /// Iterators, which run in the process that reads them.
    Iterator = 2,
    /// `__inet_bind()`, when no system call led to it.
    KernelBind = 3,
    /// `__inet6_bind()`, likewise.
    KernelBind6 = 4,
    /// `__sys_bind_socket()`, when `io_uring` calls it.
    UringBind = 5,
    /// `__sys_listen_socket()`, likewise.
    UringListen = 6,
    /// `security_sock_graft()`.
    Graft = 7,
}

impl Context {
    /// How many there are, rounded up to a power of two.
    pub const COUNT: u32 = 8;

    /// For the verifier: a number below the maps' sizes. A global function is verified for every argument.
    #[inline(always)]
    pub const fn masked(raw: u32) -> u32 {
        raw & (Self::COUNT - 1)
    }

    /// The context with this number.
    #[inline(always)]
    pub const fn of(raw: u32) -> Self {
        match raw {
            1 => Self::Btf,
            2 => Self::Iterator,
            3 => Self::KernelBind,
            4 => Self::KernelBind6,
            5 => Self::UringBind,
            6 => Self::UringListen,
            7 => Self::Graft,
            _ => Self::Tracepoint,
        }
    }
}
