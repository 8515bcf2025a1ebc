//! Every map.

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    macros::map,
    maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf},
};
use portwatch_common::{
    counters::STRIDE as COUNTER_STRIDE,
    event::{
        attempt::{Candidate, Conflict},
        owner::Owner,
        process::Process,
        time_wait::Recheck,
    },
    maps::{
        BOUND_OWNER_SLOTS, CALL_ENTRIES, EXACT_ENTRIES, INDEX_WAYS, IndexKey, OWNER_SLOTS,
        PORTS as PORT_BYTES, PROCESS_SLOTS, PortIndex, ProcessSlot, RECHECKS, query,
    },
};

use crate::{
    hooks::messages::Search,
    kernel::{bucket::Cursor, paths},
    state::calls::Call,
};

/// Records for user space. The loader sets the size.
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(256 * 1024, 0);

/// Which record the reader of [`EVENTS`] was last woken for.
#[map]
pub static WOKEN: Array<u64> = Array::with_max_entries(1, 0);

/// [`portwatch_common::counters::Counter`], for each CPU. The loader sets the size.
#[map]
pub static COUNTERS: Array<u64> = Array::with_max_entries(COUNTER_STRIDE, BPF_F_MMAPABLE);

/// Calls that have begun and not ended, by `pid_tgid`. Not LRU: an entry is never dropped silently.
#[map]
pub static CALLS: HashMap<u64, Call> = HashMap::with_max_entries(CALL_ENTRIES, 0);

/// The same for `io_uring` requests, by the request's address.
#[map]
pub static CALLS_URING: HashMap<u64, Call> = HashMap::with_max_entries(CALL_ENTRIES, 0);

/// Where an attempt is put together. Each context that can interrupt another has an entry of its own ([`Context`]).
#[map]
pub static WORK: PerCpuArray<Work> = PerCpuArray::with_max_entries(Context::COUNT, 0);

/// Where a process record is put together, by [`Context`].
#[map]
pub static PROCESS_WORK: PerCpuArray<ProcessWork> =
    PerCpuArray::with_max_entries(Context::COUNT, 0);

/// [`portwatch_common::maps::port`] bits of each port, in one value.
#[map]
pub static PORTS: Array<[u8; PORT_BYTES]> = Array::with_max_entries(1, 0);

/// [`portwatch_common::maps::switch`] bits.
#[map]
pub static SWITCHES: Array<u32> = Array::with_max_entries(1, 0);

/// Owners of connections, by the low bits of the cookie.
#[map]
pub static OWNERS: Array<Owner> = Array::with_max_entries(OWNER_SLOTS, 0);

/// Owners of bound sockets, by the low bits of the inode.
#[map]
pub static BOUND_OWNERS: Array<Owner> = Array::with_max_entries(BOUND_OWNER_SLOTS, 0);

/// Processes whose record has been sent, by the low bits of the tgid.
#[map]
pub static PROCESSES: Array<ProcessSlot> = Array::with_max_entries(PROCESS_SLOTS, 0);

/// Listening and bound TCP sockets by port, so that a listener is found behind thousands of `TIME_WAIT`s.
#[map]
pub static PORT_INDEX: LruHashMap<IndexKey, PortIndex> = LruHashMap::with_max_entries(16_384, 0);

/// The bind whose port this CPU is looking for a conflict with.
#[map]
pub static CONTEST: PerCpuArray<Contest> = PerCpuArray::with_max_entries(1, 0);

/// Sockets that the kernel refused a call under way for, by `pid_tgid`. Not LRU.
#[map]
pub static EXACT: HashMap<u64, Exact> = HashMap::with_max_entries(EXACT_ENTRIES, 0);

/// The `TIME_WAIT` that is about to be reused on this CPU.
#[map]
pub static REUSE: PerCpuArray<Reuse> = PerCpuArray::with_max_entries(1, 0);

/// `TIME_WAIT`s that the `recheck` iterator looks up.
#[map]
pub static RECHECK: Array<Recheck> = Array::with_max_entries(RECHECKS as u32, BPF_F_MMAPABLE);

/// The port that the `iter/task_file` program looks for; 0 for every port.
#[map]
pub static HOLDER_PORT: Array<u32> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// What the other iterators look for: [`portwatch_common::maps::query`].
#[map]
pub static QUERY: Array<u64> = Array::with_max_entries(query::LEN as u32, BPF_F_MMAPABLE);

/// The search for descriptors in messages that is under way on this CPU.
#[map]
pub static MESSAGES: PerCpuArray<Search> = PerCpuArray::with_max_entries(1, 0);

/// The attempt under construction, and the walk that goes with it.
#[repr(C)]
pub struct Work {
    /// The record.
    pub conflict: Conflict,
    /// Its network namespace; 0 without one.
    pub net: u64,
    /// Its `struct socket`, if it was found through a descriptor; else 0.
    pub socket: u64,
    /// The sockets of the index, of the port that is walked for.
    pub indexed: [u64; INDEX_WAYS],
    /// Where the walk is.
    pub cursor: Cursor,
    /// `struct sock_common` of the socket at hand.
    pub common: [u8; crate::kernel::sock::COMMON_LEN],
}

/// A process record under construction.
#[repr(C)]
pub struct ProcessWork {
    /// The record.
    pub record: Process,
    /// The path that is being written.
    pub cursor: paths::Cursor,
}

/// A search for a conflict, under way.
#[repr(C)]
pub struct Contest {
    /// The binder; 0 if there is none, or if it takes any port.
    pub sk: u64,
    /// What it was found to conflict with; 0 for nothing yet.
    pub sk2: u64,
    /// That socket's facts.
    pub exact: Exact,
    /// Its `struct sock_common`.
    pub common: [u8; crate::kernel::sock::COMMON_LEN],
}

/// A socket that the kernel refused a call for.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Exact {
    /// When: `CLOCK_BOOTTIME`, ns.
    pub boot_ns: u64,
    /// The socket as it stood then.
    pub candidate: Candidate,
}

/// A `TIME_WAIT` that is about to be reused.
#[repr(C)]
pub struct Reuse {
    /// Its address; 0 for none.
    pub tw: u64,
    /// [`portwatch_common::event::time_wait::reason`].
    pub reason: u64,
}

/// Which per-CPU work area a program uses.
///
/// A function's program can be preempted, by another one too; only itself the kernel keeps from running twice on a CPU.
/// So each that puts a record together has an area of its own.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Context {
    /// Tracepoints of system calls and of the scheduler: the kernel lets none of them interrupt another on a CPU.
    Tracepoint = 0,
    /// BTF tracepoints: they can run in a softirq, in the middle of the above.
    Btf = 1,
    /// Iterators, which are read by a process of their own.
    Iterator = 2,
    /// `__inet_bind()`, when no system call leads to it.
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

    /// For the verifier: a number that lies within the maps.
    #[inline(always)]
    pub const fn masked(raw: u32) -> u32 {
        raw & (Self::COUNT - 1)
    }

    /// The context that was passed as a number.
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
