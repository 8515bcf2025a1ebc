//! The socket that the kernel refuses a port for, as the functions that compare find it.

use aya_ebpf::{
    macros::map,
    maps::{HashMap, PerCpuArray},
};
use portwatch_common::{event::attempt::Candidate, maps::EXACT_ENTRIES, offsets::SOCK_COMMON_LEN};

/// The bind whose port this CPU is looking for a conflict with.
#[map]
static CONTEST: PerCpuArray<Contest> = PerCpuArray::with_max_entries(1, 0);

/// Sockets that the kernel refused a call under way for, by `pid_tgid`. Not LRU.
#[map]
static EXACT: HashMap<u64, Exact> = HashMap::with_max_entries(EXACT_ENTRIES, 0);

/// A search for a conflict, under way.
#[repr(C)]
pub struct Contest {
    /// The binder; 0 if there is none, or if it takes any port.
    sk: u64,
    /// What it was found to conflict with; 0 for nothing yet.
    pub sk2: u64,
    /// That socket's facts.
    pub exact: Exact,
    /// Its `struct sock_common`.
    pub common: [u8; SOCK_COMMON_LEN],
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

impl Contest {
    /// The one of this CPU.
    #[inline(always)]
    pub fn current() -> Option<*mut Self> {
        CONTEST.get_ptr_mut(0)
    }
}

/// The search for a port's conflict begins. A binder that takes any port is left out.
#[inline(always)]
pub fn begin(sk: u64, port: u16) {
    if let Some(contest) = Contest::current() {
        // SAFETY: a valid per-CPU value. A thread that is moved to another CPU, or that another one's bind interrupts,
        // does not find itself here again, and its blocker is the walk's.
        unsafe {
            (*contest).sk2 = 0;
            (*contest).sk = if port == 0 { 0 } else { sk };
        }
    }
}

/// The search ends: what was found is kept for the call of a thread, if that was refused.
#[inline(always)]
pub fn end(sk: u64, thread: u64, refused: bool) {
    let Some(contest) = Contest::current() else {
        return;
    };
    // SAFETY: a valid per-CPU value. If another bind comes in between, `sk` is not ours at the end, and what was copied
    // is taken back.
    unsafe {
        if (*contest).sk != sk {
            return;
        }
        if refused && (*contest).sk2 != 0 {
            let stored = EXACT.insert(&thread, &(*contest).exact, 0);
            if core::ptr::read_volatile(&raw const (*contest).sk) != sk && stored.is_ok() {
                let _ = EXACT.remove(&thread);
            }
        }
        (*contest).sk = 0;
    }
}

/// True if two sockets that were found to conflict are a bind under way and one that has not been kept for it.
#[inline(always)]
pub fn is_new(sk: u64, sk2: u64) -> bool {
    // SAFETY: as in `begin`.
    Contest::current()
        .is_some_and(|contest| unsafe { (*contest).sk == sk && (*contest).sk2 != sk2 })
}

/// Takes back that two sockets conflict: a later comparison found that they do not.
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

/// What the kernel refused the call of a thread for.
#[inline(always)]
pub fn of(thread: u64) -> Option<*const Exact> {
    EXACT.get_ptr(&thread)
}

/// Forgets it.
#[inline(always)]
pub fn remove(thread: u64) {
    // Of a key that exists, removal cannot fail.
    let _ = EXACT.remove(&thread);
}
