//! Watched ports, and the switches of the hooks that report them.
//!
//! Hooks of connections look here first: a busy server opens and closes 10,000 connections a second, and almost all of
//! its ports are of no interest.

use core::arch::asm;

use aya_ebpf::{macros::map, maps::Array};
use portwatch_common::maps::{PORTS as PORT_BYTES, port as bit};

/// [`bit`]s of each port, in one value.
#[map]
static PORTS: Array<[u8; PORT_BYTES]> = Array::with_max_entries(1, 0);

/// [`portwatch_common::maps::switch`] bits. A map and not a global: the loader attaches first, and knows the answer
/// then.
#[map]
static SWITCHES: Array<u32> = Array::with_max_entries(1, 0);

/// A port's byte.
#[inline(always)]
fn byte(port: u16) -> Option<*mut u8> {
    let all = PORTS.get_ptr_mut(0)?;
    let mut index = u64::from(port);
    // SAFETY: changes nothing, as a `u16` fits. But verifiers up to 6.12 believe that a number whose bytes were swapped
    // can be any number, and refuse the access. The compiler would drop an ordinary mask, so it is assembly.
    unsafe { asm!("{0} &= 65535", inout(reg) index, options(nomem, nostack)) };
    // SAFETY: the value has a byte for each `u16`.
    Some(unsafe { all.cast::<u8>().add(index as usize) })
}

const _: () = assert!(PORT_BYTES == 65_536);

/// True if the port has one of the bits ([`bit`]).
#[inline(always)]
pub fn has(port: u16, bits: u8) -> bool {
    // SAFETY: a valid map value.
    byte(port).is_some_and(|byte| unsafe { *byte } & bits != 0)
}

/// True if portwatch reports processes that take or release the port, at least in part.
#[inline(always)]
pub fn is_watched(port: u16) -> bool {
    port != 0 && has(port, bit::ASKED | bit::REFUSED)
}

/// Sets bits of a port ([`bit`]).
#[inline(always)]
pub fn mark(port: u16, bits: u8) {
    if let Some(byte) = byte(port) {
        // SAFETY: a valid map value. Not atomic: each port has a byte of its own, so a lost update concerns that port
        // alone, and the port's next failure repeats it.
        unsafe { *byte |= bits };
    }
}

/// True if a switch is on ([`portwatch_common::maps::switch`]).
#[inline(always)]
pub fn is_on(switch: u32) -> bool {
    SWITCHES.get(0).is_some_and(|on| on & switch != 0)
}
