//! What is remembered of a call between its entry and its return.

use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, generated::bpf_ktime_get_boot_ns},
    macros::map,
    maps::HashMap,
};
use portwatch_common::{
    counters::Counter,
    endpoint::{AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC},
    event::attempt::{SOCKADDR_LEN, Stages, op},
    maps::CALL_ENTRIES,
};

use crate::state::counters::count;

/// Calls that have begun and not ended, by `pid_tgid`. Not LRU: an entry is never dropped silently.
#[map]
static CALLS: HashMap<u64, Call> = HashMap::with_max_entries(CALL_ENTRIES, 0);

/// The same for `io_uring` requests, by the request's address.
#[map]
static CALLS_URING: HashMap<u64, Call> = HashMap::with_max_entries(CALL_ENTRIES, 0);

/// [`Call::op`] of a `listen()` of a family that has neither ports nor paths.
pub const IGNORED_LISTEN: u32 = u32::MAX;

/// A call under way.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Call {
    /// When it began: `CLOCK_BOOTTIME`, ns.
    pub enter_ns: u64,
    /// Where the caller keeps the address.
    pub user_address: u64,
    /// [`portwatch_common::event::attempt::op`]; 0 for a family that has no ports and no paths.
    pub op: u32,
    pub fd: i32,
    pub addrlen: u32,
    pub backlog: i32,
    /// [`flag`] bits.
    pub flags: u32,
    pub reserved: u32,
    /// How far it has got.
    pub stages: Stages,
    pub sockaddr: [u8; SOCKADDR_LEN],
}

/// The call that a thread (`pid_tgid`) is in, if it is traced.
#[inline(always)]
pub fn current(thread: u64) -> Option<*mut Call> {
    CALLS.get_ptr_mut(&thread)
}

/// Forgets a thread's call.
#[inline(always)]
pub fn remove(thread: u64) {
    // Of a key that exists, removal cannot fail.
    let _ = CALLS.remove(&thread);
}

/// The call that a request of `io_uring` makes, if it is traced.
#[inline(always)]
pub fn of_request(req: u64) -> Option<*mut Call> {
    CALLS_URING.get_ptr_mut(&req)
}

/// Forgets a request's call, if it has one.
#[inline(always)]
pub fn remove_request(req: u64) {
    let _ = CALLS_URING.remove(&req);
}

/// True if a call that was remembered as `remembered` can be one that returns as `returns` (bind or listen).
#[inline(always)]
pub const fn is_of(remembered: u32, returns: u32) -> bool {
    match remembered {
        op::BIND | 0 => returns == op::BIND,
        op::LISTEN | op::AUTOBIND | IGNORED_LISTEN => returns == op::LISTEN,
        _ => false,
    }
}

impl Call {
    /// A call that begins now.
    #[inline(always)]
    pub fn new(op: u32, fd: i32) -> Self {
        Self {
            // SAFETY: the helper has no conditions.
            enter_ns: unsafe { bpf_ktime_get_boot_ns() },
            user_address: 0,
            op,
            fd,
            addrlen: 0,
            backlog: 0,
            flags: 0,
            reserved: 0,
            stages: Stages::NONE,
            sockaddr: [0; SOCKADDR_LEN],
        }
    }

    #[inline(always)]
    pub const fn family(&self) -> u16 {
        u16::from_ne_bytes([self.sockaddr[0], self.sockaddr[1]])
    }

    /// True for the families that are recorded.
    #[inline(always)]
    pub const fn is_of_interest(&self) -> bool {
        matches!(self.family(), AF_UNSPEC | AF_UNIX | AF_INET | AF_INET6)
    }

    /// Remembers a call of the current thread.
    #[inline(always)]
    pub fn remember(&self) {
        if CALLS.insert(&bpf_get_current_pid_tgid(), self, 0).is_err() {
            count(Counter::CallsFull);
        }
    }

    /// Remembers the call of a request.
    #[inline(always)]
    pub fn remember_request(&self, req: u64) {
        if CALLS_URING.insert(&req, self, 0).is_err() {
            count(Counter::CallsFull);
        }
    }
}
