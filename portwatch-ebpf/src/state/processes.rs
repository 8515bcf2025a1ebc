//! Processes that user space knows: those whose record was sent.
//!
//! An array with one slot for each hash. If two processes share a slot, their records are sent more often than needed.

use aya_ebpf::{macros::map, maps::Array};
use portwatch_common::maps::{PROCESS_SLOTS, ProcessSlot};

/// By the low bits of the tgid.
#[map]
static PROCESSES: Array<ProcessSlot> = Array::with_max_entries(PROCESS_SLOTS, 0);

#[inline(always)]
fn slot(tgid: u32) -> Option<*mut ProcessSlot> {
    PROCESSES.get_ptr_mut(tgid & (PROCESS_SLOTS - 1))
}

/// True if the record of a process was sent since its last exec or change of control group.
///
/// The start time is part of the key, because process ids are reused.
#[inline(always)]
pub fn is_sent(tgid: u32, start_boot_ns: u64, css_set: u64) -> bool {
    // SAFETY: a valid map value. At worst, a torn read sends a record once more.
    slot(tgid).is_none_or(|slot| unsafe {
        (*slot).tgid == tgid && (*slot).start_boot_ns == start_boot_ns && (*slot).css_set == css_set
    })
}

/// Notes that the record of a process was sent, or that the ring had no room for it.
#[inline(always)]
pub fn set_sent(tgid: u32, start_boot_ns: u64, css_set: u64, sent: bool) {
    if let Some(slot) = slot(tgid) {
        // SAFETY: a valid map value. After a loss the slot is cleared, because the record that user space has is
        // outdated.
        unsafe {
            (*slot).start_boot_ns = start_boot_ns;
            (*slot).css_set = css_set;
            (*slot).tgid = if sent { tgid } else { 0 };
        }
    }
}

/// Makes the end of a new process be reported, unless another process has its slot.
///
/// Its record was not sent yet. The `css_set` 0, which no process has, makes its first attempt send it.
#[inline(always)]
pub fn announce_exit(tgid: u32, start_boot_ns: u64) {
    let Some(slot) = slot(tgid) else {
        return;
    };
    // SAFETY: a valid map value. At worst, a write of another CPU sends a record once more.
    unsafe {
        if (*slot).tgid == 0 || (*slot).tgid == tgid {
            (*slot).start_boot_ns = start_boot_ns;
            (*slot).css_set = 0;
            (*slot).tgid = tgid;
        }
    }
}

/// Removes a process that ends. False if user space does not know it.
#[inline(always)]
pub fn remove(tgid: u32, start_boot_ns: u64) -> bool {
    let Some(slot) = slot(tgid) else {
        return false;
    };
    // SAFETY: a valid map value.
    unsafe {
        if (*slot).tgid != tgid || (*slot).start_boot_ns != start_boot_ns {
            return false;
        }
        (*slot).tgid = 0;
    }
    true
}
