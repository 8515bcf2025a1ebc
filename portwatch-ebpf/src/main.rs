//! portwatch's kernel side: it collects facts about bind attempts and judges nothing.
//!
//! Four rooms, each of which knows only those below it:
//!
//! - [`hooks`]: the programs, and where the kernel runs them;
//! - [`records`]: puts records together, filters them and sends them;
//! - [`kernel`]: reads the kernel's objects;
//! - [`state`]: keeps what outlives one run of a program.

#![no_std]
#![no_main]
// `core::arch::asm!` for BPF, which stable Rust does not have.
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
