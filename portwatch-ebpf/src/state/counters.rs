//! Counters: what hooks saw and what became of it, so that no loss is silent.

use core::arch::asm;

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE, helpers::generated::bpf_get_smp_processor_id, macros::map,
    maps::Array,
};
use portwatch_common::counters::{Counter, STRIDE};

/// [`Counter`], for each CPU. The loader sets the size.
///
/// An ordinary array with a part for each CPU: user space can map it into its memory, which a per-CPU array does not
/// allow. Reading by system call would cost attempts, as `portwatch_common::counters` explains.
#[map]
static COUNTERS: Array<u64> = Array::with_max_entries(STRIDE, BPF_F_MMAPABLE);

/// Adds one to a counter.
#[inline(always)]
pub fn count(counter: Counter) {
    // SAFETY: the helper has no conditions.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    if let Some(value) = COUNTERS.get_ptr_mut(cpu * STRIDE + counter as u32) {
        // SAFETY: a valid value, aligned to its size. One instruction, because a function's program can be preempted by
        // another that counts on the same CPU. `core` has no atomic addition for BPF.
        unsafe {
            asm!("lock *(u64 *)({0} + 0) += {1}", in(reg) value, in(reg) 1u64, options(nostack));
        }
    }
}
