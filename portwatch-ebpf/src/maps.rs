//! Every map.

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    macros::map,
    maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf},
};
use portwatch_common::{
    counters::STRIDE as COUNTER_STRIDE,
    event::{attempt::Conflict, owner::Owner, process::Process},
    maps::{
        BINDER_SLOTS, IN_FLIGHT_ENTRIES, IndexKey, OWNER_SLOTS, PORT_WORDS, PROCESS_SLOTS,
        PortIndex, ProcessSlot,
    },
};

use crate::{bucket::Cursor, hooks::inflight::Call, names};

/// Records for user space. The loader sets the size.
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(256 * 1024, 0);

/// [`portwatch_common::counters::Counter`], for each CPU. The loader sets the size.
#[map]
pub static COUNTERS: Array<u64> = Array::with_max_entries(COUNTER_STRIDE, BPF_F_MMAPABLE);

/// Calls that have begun and not ended, by `pid_tgid`. Not LRU: an entry is never dropped silently.
#[map]
pub static IN_FLIGHT: HashMap<u64, Call> = HashMap::with_max_entries(IN_FLIGHT_ENTRIES, 0);

/// The same for `io_uring` requests, by the request's address.
#[map]
pub static IN_FLIGHT_URING: HashMap<u64, Call> = HashMap::with_max_entries(IN_FLIGHT_ENTRIES, 0);

/// Where an attempt is put together. Each context that can interrupt another has an entry of its own ([`Context`]).
#[map]
pub static WORK: PerCpuArray<Work> = PerCpuArray::with_max_entries(Context::COUNT, 0);

/// Where a process record is put together, by [`Context`].
#[map]
pub static PROCESS_WORK: PerCpuArray<ProcessWork> =
    PerCpuArray::with_max_entries(Context::COUNT, 0);

/// Ports that the user asked for, one bit each.
#[map]
pub static PORTS: Array<u64> = Array::with_max_entries(PORT_WORDS, 0);

/// Owners of connections, by the low bits of the cookie.
#[map]
pub static OWNERS: Array<Owner> = Array::with_max_entries(OWNER_SLOTS, 0);

/// Owners of bound sockets, by the low bits of the inode.
#[map]
pub static BINDERS: Array<Owner> = Array::with_max_entries(BINDER_SLOTS, 0);

/// Processes whose record has been sent, by the low bits of the tgid.
#[map]
pub static PROCESSES: Array<ProcessSlot> = Array::with_max_entries(PROCESS_SLOTS, 0);

/// Listening and bound TCP sockets by port, so that a listener is found behind thousands of `TIME_WAIT`s.
#[map]
pub static PORT_INDEX: LruHashMap<IndexKey, PortIndex> = LruHashMap::with_max_entries(16_384, 0);

/// The port that the `iter/task_file` program looks for; 0 for every port.
#[map]
pub static HOLDER_PORT: Array<u32> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// The attempt under construction, and the walk that goes with it.
#[repr(C)]
pub struct Work {
    /// The record.
    pub conflict: Conflict,
    /// Its network namespace; 0 without one.
    pub net: u64,
    /// Where the walk is.
    pub cursor: Cursor,
    /// `struct sock_common` of the socket at hand.
    pub common: [u8; crate::sock::COMMON_LEN],
}

/// A process record under construction.
#[repr(C)]
pub struct ProcessWork {
    /// The record.
    pub record: Process,
    /// The path that is being written.
    pub cursor: names::Cursor,
}

/// Which per-CPU work area a program uses.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Context {
    /// Tracepoints of system calls and of the scheduler: the kernel lets none of them interrupt another on a CPU.
    Tracepoint = 0,
    /// BTF tracepoints: they can run in a softirq, in the middle of the above.
    Btf = 1,
    /// Iterators, which are read by a process of their own.
    Iterator = 2,
}

impl Context {
    /// How many there are.
    pub const COUNT: u32 = 3;
}
