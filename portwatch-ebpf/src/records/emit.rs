//! The only place that takes ring space, and that counts what has no room.

use aya_ebpf::{
    bindings::{
        BPF_RB_AVAIL_DATA, BPF_RB_CONS_POS, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP, BPF_RB_PROD_POS,
    },
    helpers::generated::{bpf_get_smp_processor_id, bpf_ktime_get_boot_ns, bpf_ringbuf_output},
    maps::ring_buf::RingBufEntry,
};
use portwatch_common::{
    counters::Counter,
    event::{Header, Kind},
};

use crate::state::{
    counters::count,
    ring::{EVENTS, WOKEN},
};

/// The header of a record that is made now.
#[inline(always)]
pub fn header(kind: Kind, len: usize) -> Header {
    Header {
        // SAFETY: the helpers have no conditions.
        boot_ns: unsafe { bpf_ktime_get_boot_ns() },
        kind: kind as u16,
        len: len as u16,
        // SAFETY: as above.
        cpu: unsafe { bpf_get_smp_processor_id() },
    }
}

/// The reader is woken when so many bytes wait for it; it also looks by itself, ten times a second.
const WAKE_BYTES: u64 = 512 * 1024;

/// True if the reader is to be woken. Failures wake it at once; to be woken for each success would cost the caller more
/// than the record.
#[inline(always)]
fn wakes(urgent: bool) -> bool {
    if !urgent && EVENTS.query(u64::from(BPF_RB_AVAIL_DATA)) <= WAKE_BYTES {
        return false;
    }
    // One that was woken and has not yet come to what it was woken for finds this record, too.
    EVENTS.query(u64::from(BPF_RB_CONS_POS))
        >= woken().map_or(0, |end| {
            // SAFETY: a valid map value. What another CPU writes meanwhile is as good.
            unsafe { end.read_volatile() }
        })
}

/// Behind the beginning of the last record that the reader was woken for: its place in the ring.
#[inline(always)]
fn woken() -> Option<*mut u64> {
    WOKEN.get_ptr_mut(0)
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
    let wakes = wakes(urgent);
    let flags = if wakes {
        BPF_RB_FORCE_WAKEUP
    } else if urgent {
        // The kernel wakes it if it is through with all before this when this is there.
        0
    } else {
        BPF_RB_NO_WAKEUP
    };
    let begin = EVENTS.query(u64::from(BPF_RB_PROD_POS));
    // SAFETY: the caller's promise; the map is a ring buffer.
    let failed = unsafe {
        bpf_ringbuf_output(
            (&raw const EVENTS).cast_mut().cast(),
            record.cast_mut().cast(),
            len,
            u64::from(flags),
        )
    };
    if wakes
        && failed == 0
        && let Some(end) = woken()
    {
        // SAFETY: a valid map value.
        unsafe { end.write_volatile(begin + 1) };
    }
    count(if failed == 0 { done } else { lost });
    failed == 0
}

/// Hands a whole record about a process to user space.
#[inline(always)]
pub fn submit_process<T>(record: &T) -> bool {
    // SAFETY: a reference, so that every byte can be read; records have no padding.
    unsafe {
        submit(
            (&raw const *record).cast(),
            size_of::<T>() as u64,
            false,
            Counter::ProcessSubmitted,
            Counter::ProcessLost,
        )
    }
}
