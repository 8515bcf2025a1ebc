//! The `TIME_WAIT` that is about to be reused, and why.
//!
//! `inet_twsk_kill()` ends every mini-socket and does not know why. Hooks that run before it on the same CPU do.

use aya_ebpf::{macros::map, maps::PerCpuArray};

/// One for each CPU.
#[map]
static REUSE: PerCpuArray<Reuse> = PerCpuArray::with_max_entries(1, 0);

/// A `TIME_WAIT` that is about to be reused.
#[repr(C)]
struct Reuse {
    /// Its address; 0 for none.
    tw: u64,
    /// [`portwatch_common::event::time_wait::reason`].
    reason: u64,
}

/// Notes that a mini-socket is about to end, and why.
#[inline(always)]
pub fn mark(tw: u64, reason: u32) {
    if let Some(reuse) = REUSE.get_ptr_mut(0) {
        // SAFETY: a valid per-CPU value. From the mark to the end of a mini-socket the kernel stays on one CPU, in a
        // softirq or with softirqs off: nothing else marks meanwhile.
        unsafe {
            (*reuse).tw = tw;
            (*reuse).reason = u64::from(reason);
        }
    }
}

/// The reason for the end of a mini-socket, if one was marked.
#[inline(always)]
pub fn take(tw: u64) -> Option<u32> {
    let reuse = REUSE.get_ptr_mut(0)?;
    // SAFETY: as above.
    unsafe {
        // The mark of another mini-socket is left from a reuse that did not happen.
        if (*reuse).tw != tw {
            return None;
        }
        (*reuse).tw = 0;
        Some((*reuse).reason as u32)
    }
}
