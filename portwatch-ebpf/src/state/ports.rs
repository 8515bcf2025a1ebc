//! Ports that are watched, and what they are told from.

use core::arch::asm;

use aya_ebpf::{macros::map, maps::Array};
use portwatch_common::maps::{PORTS as PORT_BYTES, port as bit};

/// [`bit`]s of each port, in one value.
#[map]
static PORTS: Array<[u8; PORT_BYTES]> = Array::with_max_entries(1, 0);

/// [`portwatch_common::maps::switch`] bits.
#[map]
static SWITCHES: Array<u32> = Array::with_max_entries(1, 0);

/// The place of a port's byte.
#[inline(always)]
fn byte(port: u16) -> Option<*mut u8> {
    let all = PORTS.get_ptr_mut(0)?;
    let mut index = u64::from(port);
    // SAFETY: changes nothing, which only the compiler knows: verifiers up to 6.12 take a number whose bytes were swapped
    // for any number.
    unsafe { asm!("{0} &= 65535", inout(reg) index, options(nomem, nostack)) };
    // SAFETY: within the map's value.
    Some(unsafe { all.cast::<u8>().add(index as usize) })
}

const _: () = assert!(PORT_BYTES == 65_536);

/// True if the port has one of the bits ([`bit`]).
#[inline(always)]
pub fn has(port: u16, bits: u8) -> bool {
    // SAFETY: a valid map value.
    byte(port).is_some_and(|byte| unsafe { *byte } & bits != 0)
}

/// True if who gets the port and who gives it back is streamed, at least in part.
#[inline(always)]
pub fn is_watched(port: u16) -> bool {
    port != 0 && has(port, bit::ASKED | bit::REFUSED)
}

/// Sets bits of a port ([`bit`]).
#[inline(always)]
pub fn mark(port: u16, bits: u8) {
    if let Some(byte) = byte(port) {
        // SAFETY: a valid map value. A byte of its own for each port: two CPUs that set the same bits agree, and what one
        // of them undoes for the other is set again by the next failure.
        unsafe { *byte |= bits };
    }
}

/// True if a switch is on ([`portwatch_common::maps::switch`]).
#[inline(always)]
pub fn is_on(switch: u32) -> bool {
    SWITCHES.get(0).is_some_and(|on| on & switch != 0)
}
