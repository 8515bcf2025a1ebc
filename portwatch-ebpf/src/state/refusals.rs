//! The socket that made the kernel refuse a port, as `hooks/conflicts.rs` finds it.
//!
//! A contest lasts from the entry of `inet_csk_get_port()` or `udp_lib_get_port()` to its return; hooks in between
//! deposit the socket. At the return it moves to a map by thread, where the record of the attempt takes it.

use aya_ebpf::{
    macros::map,
    maps::{HashMap, PerCpuArray},
};
use portwatch_common::{event::attempt::Candidate, maps::EXACT_ENTRIES, offsets::SOCK_COMMON_LEN};

/// The bind that this CPU compares with other sockets. Per CPU, because the comparing functions run under the spin lock
/// of the port's bucket.
#[map]
static CONTEST: PerCpuArray<Contest> = PerCpuArray::with_max_entries(1, 0);

/// Sockets that made the kernel refuse a call under way, by `pid_tgid`.
#[map]
static EXACT: HashMap<u64, Exact> = HashMap::with_max_entries(EXACT_ENTRIES, 0);

/// A bind that is being compared.
#[repr(C)]
pub struct Contest {
    /// The binder; 0 if there is none, or if it takes any port.
    sk: u64,
    /// The socket that it conflicts with; 0 as long as there is none.
    pub sk2: u64,
    /// Facts of that socket.
    pub exact: Exact,
    /// Its `struct sock_common`.
    pub common: [u8; SOCK_COMMON_LEN],
}

/// A socket that made the kernel refuse a call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Exact {
    /// When: `CLOCK_BOOTTIME`, ns.
    pub boot_ns: u64,
    /// The socket at that moment.
    pub candidate: Candidate,
}

impl Contest {
    /// The contest of this CPU.
    #[inline(always)]
    pub fn current() -> Option<*mut Self> {
        CONTEST.get_ptr_mut(0)
    }
}

/// Begins a contest.
///
/// A binder that takes any port is left out: on a full range the kernel compares it tens of thousands of times, and no
/// single socket is to blame.
#[inline(always)]
pub fn begin(sk: u64, port: u16) {
    if let Some(contest) = Contest::current() {
        // SAFETY: a valid per-CPU value. Before the kernel takes the lock, the thread can move to another CPU, or
        // another bind can run here. Then `sk` is not ours later, nothing is deposited, and the walk finds the blocker.
        unsafe {
            (*contest).sk2 = 0;
            (*contest).sk = if port == 0 { 0 } else { sk };
        }
    }
}

/// Ends a contest. If the kernel refused the port, keeps the deposited socket for the thread's call.
#[inline(always)]
pub fn end(sk: u64, thread: u64, refused: bool) {
    let Some(contest) = Contest::current() else {
        return;
    };
    // SAFETY: a valid per-CPU value. The lock is released by now, so another bind may overwrite it during the copy.
    unsafe {
        if (*contest).sk != sk {
            return;
        }
        if refused && (*contest).sk2 != 0 {
            let stored = EXACT.insert(&thread, &(*contest).exact, 0);
            // Compared again after the copy: if the contest is no longer ours, the copy may be another bind's, or half
            // of it. A wrong blocker is worse than none. Volatile, because the compiler knows no other writer.
            if core::ptr::read_volatile(&raw const (*contest).sk) != sk && stored.is_ok() {
                let _ = EXACT.remove(&thread);
            }
        }
        (*contest).sk = 0;
    }
}

/// True if `sk` is this CPU's binder and `sk2` was not deposited for it yet.
#[inline(always)]
pub fn is_new(sk: u64, sk2: u64) -> bool {
    // SAFETY: as in `begin`.
    Contest::current()
        .is_some_and(|contest| unsafe { (*contest).sk == sk && (*contest).sk2 != sk2 })
}

/// Takes `sk2` back: a later comparison found that it does not conflict with `sk`.
#[inline(always)]
pub fn take_back(sk: u64, sk2: u64) {
    if let Some(contest) = Contest::current() {
        // SAFETY: as in `begin`.
        unsafe {
            if (*contest).sk == sk && (*contest).sk2 == sk2 {
                (*contest).sk2 = 0;
            }
        }
    }
}

/// The socket that made the kernel refuse the call of a thread.
#[inline(always)]
pub fn of(thread: u64) -> Option<*const Exact> {
    EXACT.get_ptr(&thread)
}

/// Drops it.
#[inline(always)]
pub fn remove(thread: u64) {
    // Of a key that exists, removal cannot fail.
    let _ = EXACT.remove(&thread);
}
