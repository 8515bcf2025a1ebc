//! The only place that takes ring space, and the only one that counts.

use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::generated::{bpf_get_smp_processor_id, bpf_ringbuf_output},
};
use portwatch_common::counters::{Counter, STRIDE};

use crate::maps::{COUNTERS, EVENTS};

/// Adds one to a counter.
#[inline(always)]
pub fn count(counter: Counter) {
    // SAFETY: the helper has no conditions.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    if let Some(value) = COUNTERS.get_ptr_mut(cpu * STRIDE + counter as u32) {
        // SAFETY: a valid value of this CPU. What is counted happens in processes and not in interrupts, with preemption
        // off: nothing comes between load and store.
        unsafe { *value += 1 };
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
