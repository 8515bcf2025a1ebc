//! Keeping a program's CPU to itself while it runs.
//!
//! The kernel runs no program of a tracepoint on a CPU where another is under way, and only counts the miss. Where one can
//! be preempted (functions; tracepoints since 7.0), whoever runs next on that CPU would bind unseen until it goes on.

use portwatch_common::kfunc;

use crate::state::globals::config;

/// A function of the kernel, behind the number that the loader replaces.
#[inline(always)]
fn call(placeholder: u32) {
    // SAFETY: a call of a helper or kernel function without arguments is a call through its number. Where the kernel does
    // not have the function, `config!(keeps_cpu)` has removed the call.
    let function: extern "C" fn() = unsafe { core::mem::transmute(placeholder as usize) };
    function();
}

/// Runs a program's body without preemption, where the kernel allows programs to ask for that.
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
