//! Calls between their entry and their return.
//!
//! The entry knows the arguments and the return knows the result; only together they make an attempt.

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

/// System calls under way, by `pid_tgid`.
///
/// Not an LRU map, which would drop entries without a word. A return without its entry is reported as a seccomp
/// refusal, so a lost entry would accuse a filter that does not exist. A full map fails the insertion instead, and that
/// is counted.
#[map]
static CALLS: HashMap<u64, Call> = HashMap::with_max_entries(CALL_ENTRIES, 0);

/// `io_uring` requests under way, by the request's address: a request may complete in another thread than it began in.
#[map]
static CALLS_URING: HashMap<u64, Call> = HashMap::with_max_entries(CALL_ENTRIES, 0);

/// [`Call::op`] of a `listen()` in a family that has neither ports nor paths.
pub const IGNORED_LISTEN: u32 = u32::MAX;

/// A call under way.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Call {
    /// When it began: `CLOCK_BOOTTIME`, ns.
    pub enter_ns: u64,
    /// The address in the caller's memory.
    pub user_address: u64,
    /// [`op`]; 0 for a `bind()` in a family that has neither ports nor paths.
    pub op: u32,
    pub fd: i32,
    pub addrlen: u32,
    pub backlog: i32,
    /// [`portwatch_common::event::attempt::flag`] bits.
    pub flags: u32,
    pub reserved: u32,
    /// How far it has come: hooks below the call fill this in.
    pub stages: Stages,
    pub sockaddr: [u8; SOCKADDR_LEN],
}

/// The traced call that a thread (`pid_tgid`) is in.
#[inline(always)]
pub fn current(thread: u64) -> Option<*mut Call> {
    CALLS.get_ptr_mut(&thread)
}

/// Drops a thread's call.
#[inline(always)]
pub fn remove(thread: u64) {
    // Of a key that exists, removal cannot fail.
    let _ = CALLS.remove(&thread);
}

/// The traced call of an `io_uring` request.
#[inline(always)]
pub fn of_request(req: u64) -> Option<*mut Call> {
    CALLS_URING.get_ptr_mut(&req)
}

/// Drops the call of a request, if it has one.
#[inline(always)]
pub fn remove_request(req: u64) {
    let _ = CALLS_URING.remove(&req);
}

/// True if a call that was stored as `remembered` can return as `returns` (bind or listen).
///
/// If the kernel skips the program at a return, the entry stays. The thread's next call must not take it for its own.
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

    /// Address family that the caller asked for.
    #[inline(always)]
    pub const fn family(&self) -> u16 {
        u16::from_ne_bytes([self.sockaddr[0], self.sockaddr[1]])
    }

    /// True for the families that portwatch records.
    #[inline(always)]
    pub const fn is_of_interest(&self) -> bool {
        matches!(self.family(), AF_UNSPEC | AF_UNIX | AF_INET | AF_INET6)
    }

    /// Stores it as the current thread's call.
    #[inline(always)]
    pub fn remember(&self) {
        if CALLS.insert(&bpf_get_current_pid_tgid(), self, 0).is_err() {
            count(Counter::CallsFull);
        }
    }

    /// Stores it as the call of a request.
    #[inline(always)]
    pub fn remember_request(&self, req: u64) {
        if CALLS_URING.insert(&req, self, 0).is_err() {
            count(Counter::CallsFull);
        }
    }
}
