//! The only place that takes ring space, and the only one that counts.

use core::arch::asm;

use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::generated::{bpf_get_smp_processor_id, bpf_ringbuf_output},
    maps::ring_buf::RingBufEntry,
};
use portwatch_common::counters::{Counter, STRIDE};

use crate::maps::{COUNTERS, EVENTS};

/// Adds one to a counter.
#[inline(always)]
pub fn count(counter: Counter) {
    // SAFETY: the helper has no conditions.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    if let Some(value) = COUNTERS.get_ptr_mut(cpu * STRIDE + counter as u32) {
        // SAFETY: a valid value, aligned to its size. In one instruction, because a function's program can be preempted;
        // `core` has no atomic addition for BPF.
        unsafe {
            asm!("lock *(u64 *)({0} + 0) += {1}", in(reg) value, in(reg) 1u64, options(nostack));
        }
    }
}

/// The reader is woken when so many bytes wait for it; it also looks by itself, ten times a second.
const WAKE_BYTES: u64 = 512 * 1024;

/// Failures wake the reader at once. To be woken for each success would cost the caller more than the record.
#[inline(always)]
fn wakeup(urgent: bool) -> u64 {
    if urgent || EVENTS.query(u64::from(BPF_RB_AVAIL_DATA)) > WAKE_BYTES {
        u64::from(BPF_RB_FORCE_WAKEUP)
    } else {
        u64::from(BPF_RB_NO_WAKEUP)
    }
}

/// Room for a record of a port or a `TIME_WAIT`.
#[inline(always)]
pub fn reserve<T: 'static>() -> Option<RingBufEntry<T>> {
    let entry = EVENTS.reserve::<T>(0);
    if entry.is_none() {
        count(Counter::PortLost);
    }
    entry
}

/// Hands such a record over, or gives its room back.
#[inline(always)]
pub fn submit_if<T: 'static>(wanted: bool, entry: RingBufEntry<T>) {
    if wanted {
        entry.submit(u64::from(BPF_RB_NO_WAKEUP));
        count(Counter::PortSubmitted);
    } else {
        entry.discard(u64::from(BPF_RB_NO_WAKEUP));
    }
}

/// Hands `len` bytes at `record` to user space and counts what came of it.
///
/// # Safety
///
/// `record` points at `len` or more initialised bytes of a map value.
#[inline(always)]
pub unsafe fn submit(
    record: *const u8,
    len: u64,
    urgent: bool,
    done: Counter,
    lost: Counter,
) -> bool {
    let flags = wakeup(urgent);
    // SAFETY: the caller's promise; the map is a ring buffer.
    let failed = unsafe {
        bpf_ringbuf_output(
            (&raw const EVENTS).cast_mut().cast(),
            record.cast_mut().cast(),
            len,
            flags,
        )
    };
    count(if failed == 0 { done } else { lost });
    failed == 0
}
