//! The only place that takes ring space, and that counts records without room.

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

/// Bytes that wait before a success wakes the reader, which also looks ten times a second by itself.
const WAKE_BYTES: u64 = 512 * 1024;

/// True if the reader must be woken.
///
/// A wake-up costs the caller 350 to 870 ns, an interrupt that the processor sends to itself (`irq_work`): more than
/// the record. So successes wait, and of many failures in a row only the first wakes.
#[inline(always)]
fn wakes(urgent: bool) -> bool {
    if !urgent && EVENTS.query(u64::from(BPF_RB_AVAIL_DATA)) <= WAKE_BYTES {
        return false;
    }
    // A reader that has not come yet to the record that it was woken for will find this one, too.
    EVENTS.query(u64::from(BPF_RB_CONS_POS))
        >= woken().map_or(0, |end| {
            // SAFETY: a valid map value. If another CPU writes meanwhile, either value does: at worst a wake-up too
            // many.
            unsafe { end.read_volatile() }
        })
}

/// One behind the beginning of the record that the reader was last woken for; zero if it never was.
#[inline(always)]
fn woken() -> Option<*mut u64> {
    WOKEN.get_ptr_mut(0)
}

/// Room for a record of a port or a `TIME_WAIT`, which is written in place: the stack has little room for it.
#[inline(always)]
pub fn reserve<T: 'static>() -> Option<RingBufEntry<T>> {
    let entry = EVENTS.reserve::<T>(0);
    if entry.is_none() {
        count(Counter::PortLost);
    }
    entry
}

/// Submits such a record, or gives its room back. It never wakes the reader, because nobody waits for it.
#[inline(always)]
pub fn submit_if<T: 'static>(wanted: bool, entry: RingBufEntry<T>) {
    if wanted {
        entry.submit(u64::from(BPF_RB_NO_WAKEUP));
        count(Counter::PortSubmitted);
    } else {
        entry.discard(u64::from(BPF_RB_NO_WAKEUP));
    }
}

/// Submits a copy of `len` bytes at `record`, and counts the result.
///
/// A copy, because the length of an attempt is known at run time only: the verifier wants a constant to reserve.
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
        // The reader may come to an end between the question and the submission. The kernel looks once more: without a
        // flag it wakes a reader that has consumed everything before this record.
        0
    } else {
        BPF_RB_NO_WAKEUP
    };
    // Read before the submission: another CPU may add a record in between, and then this place is too low. That wakes
    // the reader once too often; a place too high would leave it asleep.
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

/// Submits a whole record about a process.
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
