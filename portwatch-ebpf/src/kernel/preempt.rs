//! Programs that keep their CPU to themselves.
//!
//! The kernel skips a program on a CPU where the same one is under way, and only counts the miss. Programs of system
//! calls' tracepoints ran with preemption off, so that nothing else came to run there meanwhile. Where the kernel has
//! `trace_call_bpf_faultable()` (7.2), they can be preempted. Other tasks on that CPU would then bind unseen until the
//! first goes on.
//!
//! So programs turn preemption off there with `bpf_preempt_disable()` (6.10). The loader asks for that only on such
//! kernels: up to 6.14 the verifier refuses it in a program that calls functions of its own. Between the entry of a
//! program and this call a gap is left, for which the programs of system calls have copies (`hooks/syscalls.rs`).

use portwatch_common::kfunc;

use crate::state::globals::config;

/// Calls a function of the kernel by a placeholder, which the loader replaces by the function's number in BTF.
#[inline(always)]
fn call(placeholder: u32) {
    // SAFETY: BPF calls helpers and kernel functions by number, and this one takes no arguments. Where the kernel lacks
    // the function, the verifier has removed the call with the branch of `config!(keeps_cpu)`.
    let function: extern "C" fn() = unsafe { core::mem::transmute(placeholder as usize) };
    function();
}

/// Runs the body of a program with preemption off, where that is needed and possible.
#[inline(always)]
pub fn undisturbed(body: impl FnOnce() -> i32) -> i32 {
    if config!(keeps_cpu) != 0 {
        call(kfunc::PREEMPT_DISABLE);
    }
    let result = body();
    if config!(keeps_cpu) != 0 {
        call(kfunc::PREEMPT_ENABLE);
    }
    result
}
