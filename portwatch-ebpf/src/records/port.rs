//! Ports that are watched, and the records of who gets them and who gives them back.

use core::arch::asm;

use aya_ebpf::helpers::generated::{bpf_get_smp_processor_id, bpf_ktime_get_boot_ns};
use portwatch_common::{
    event::{
        Header, Kind,
        owner::{Owner, role},
        port::{Port, flag, how},
        socket::{Socket, flag as socket_flag},
    },
    maps::{PORTS as PORT_BYTES, port as bit, switch},
};

use crate::{
    kernel::{
        read::read,
        sock::{self, COMMON_LEN, Common},
    },
    records::emit,
    state::{
        globals::offset,
        maps::{PORTS, SWITCHES},
        owners,
    },
};

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

/// True for a socket whose life is streamed: each on a port that was asked for. On one that was only refused to somebody,
/// not those that a listener accepted: of them there may be thousands in a second.
#[inline(always)]
pub fn is_streamed(socket: &Socket, owner: &Owner) -> bool {
    has(socket.local.port, bit::ASKED) || how_of(socket, owner.roles) != how::UNKNOWN
}

/// True if a switch is on ([`switch`]).
#[inline(always)]
pub fn is_on(switch: u32) -> bool {
    SWITCHES.get(0).is_some_and(|on| on & switch != 0)
}

/// The local port of a socket that may have given it back already.
#[inline(always)]
pub fn of(sk: u64) -> u16 {
    match read::<u16>(sk, offset!(skc_num)) {
        // `inet_put_port()` clears the one and not the other.
        0 => u16::from_be(read(sk, offset!(inet_sport))),
        port => port,
    }
}

/// Sends a record. A function of its own, which the verifier looks at once.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn send_port(sk: u64, action: u32, how: u32) -> u32 {
    let mut common = [0; COMMON_LEN];
    // SAFETY: a buffer of that length, which outlives the copy.
    let Some(common) = (unsafe { Common::copy(sk, common.as_mut_ptr()) }) else {
        return 0;
    };
    let Some(mut entry) = emit::reserve::<Port>() else {
        return 0;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: the reserved memory is written in full before it is submitted; `fill` and `of` read none of it.
    unsafe {
        (*record).header = Header {
            boot_ns: bpf_ktime_get_boot_ns(),
            kind: Kind::Port as u16,
            len: size_of::<Port>() as u16,
            cpu: bpf_get_smp_processor_id(),
        };
        sock::fill(sk, common, &mut (*record).socket);
        (*record).socket.local.port = of(sk);
        owners::of(&(*record).socket, &mut (*record).owner);
        (*record).action = action;
        (*record).how = if how == how::UNKNOWN {
            how_of(&(*record).socket, (*record).owner.roles)
        } else {
            how
        };
        (*record).flags = if is_on(switch::PORTS_FROM_STATES) {
            flag::INFERRED
        } else {
            0
        };
        (*record).reserved = 0;
        let wanted = is_streamed(&(*record).socket, &(*record).owner);
        emit::submit_if(wanted, entry);
    }
    0
}

/// How a socket got its port, as far as it shows.
#[inline(always)]
fn how_of(socket: &Socket, roles: u32) -> u32 {
    if socket.flags & socket_flag::BINDPORT_LOCK != 0 || roles & role::BOUND != 0 {
        how::BIND
    } else if roles & role::CONNECTED != 0 || socket.flags & socket_flag::CONNECT_BIND != 0 {
        how::CONNECT
    } else {
        how::UNKNOWN
    }
}
