//! Processes whose record has been sent.

use aya_ebpf::{macros::map, maps::Array};
use portwatch_common::maps::{PROCESS_SLOTS, ProcessSlot};

/// By the low bits of the tgid.
#[map]
static PROCESSES: Array<ProcessSlot> = Array::with_max_entries(PROCESS_SLOTS, 0);

#[inline(always)]
fn slot(tgid: u32) -> Option<*mut ProcessSlot> {
    PROCESSES.get_ptr_mut(tgid & (PROCESS_SLOTS - 1))
}

/// True if the record of a process has been sent since its last exec or change of control group.
#[inline(always)]
pub fn is_sent(tgid: u32, start_boot_ns: u64, css_set: u64) -> bool {
    // SAFETY: a valid map value. A torn read sends a record once more than needed, at worst.
    slot(tgid).is_none_or(|slot| unsafe {
        (*slot).tgid == tgid && (*slot).start_boot_ns == start_boot_ns && (*slot).css_set == css_set
    })
}

/// Remembers that the record of a process was sent, or that it could not be.
#[inline(always)]
pub fn set_sent(tgid: u32, start_boot_ns: u64, css_set: u64, sent: bool) {
    if let Some(slot) = slot(tgid) {
        // SAFETY: a valid map value. What was sent before is not true any more, whether or not this was sent.
        unsafe {
            (*slot).start_boot_ns = start_boot_ns;
            (*slot).css_set = css_set;
            (*slot).tgid = if sent { tgid } else { 0 };
        }
    }
}

/// Has the end of a process told, as long as no other one has its slot. What the process is has not been sent: no control
/// group is known of it.
#[inline(always)]
pub fn announce_exit(tgid: u32, start_boot_ns: u64) {
    let Some(slot) = slot(tgid) else {
        return;
    };
    // SAFETY: a valid map value. Who writes to it at the same time sends a record once more than needed, at worst.
    unsafe {
        if (*slot).tgid == 0 || (*slot).tgid == tgid {
            (*slot).start_boot_ns = start_boot_ns;
            (*slot).css_set = 0;
            (*slot).tgid = tgid;
        }
    }
}

/// Forgets a process that ends. False if user space does not know it.
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
