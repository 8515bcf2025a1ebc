//! portwatch's kernel side: it collects facts about bind attempts and judges nothing.
//!
//! Hooks are thin. One place reads `struct sock` ([`sock`]), one reads tasks ([`task`]), one walks the bind table
//! ([`bucket`]), one hands records over ([`emit`]). Offsets come from the running kernel's BTF through [`globals`].

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod hooks;
mod kernel;
mod records;
mod state;

/// The kernel lends its tracing helpers to GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: nothing in this crate panics; the verifier refuses a program that could come here.
    unsafe { core::hint::unreachable_unchecked() }
}
