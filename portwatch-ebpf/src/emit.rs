//! The only place that takes ring space, and the only one that counts.

use aya_ebpf::{bindings::BPF_RB_FORCE_WAKEUP, helpers::generated::bpf_ringbuf_output};
use portwatch_common::counters::Counter;

use crate::maps::{COUNTERS, EVENTS};

/// Adds one to a counter.
#[inline(always)]
pub fn count(counter: Counter) {
    if let Some(value) = COUNTERS.get_ptr_mut(counter as u32) {
        // SAFETY: a valid per-CPU value; programs of one CPU do not interrupt each other between load and store of
        // the same counter (each counter belongs to one `Context`).
        unsafe { *value += 1 };
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
    let flags = if urgent {
        u64::from(BPF_RB_FORCE_WAKEUP)
    } else {
        0
    };
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
