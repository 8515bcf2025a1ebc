//! Who a port belongs to: of a connection by its cookie, of a bound socket by its inode.

use core::ptr::{read_volatile, write_volatile};

use aya_ebpf::{macros::map, maps::Array};
use portwatch_common::{
    counters::Counter,
    event::{owner::Owner, socket::Socket},
    maps::{BOUND_OWNER_SLOTS, OWNER_SLOTS},
};

use crate::state::{counters::count, globals::has};

/// Owners of connections, by the low bits of the cookie.
#[map]
static OWNERS: Array<Owner> = Array::with_max_entries(OWNER_SLOTS, 0);

/// Owners of bound sockets, by the low bits of the inode.
#[map]
static BOUND_OWNERS: Array<Owner> = Array::with_max_entries(BOUND_OWNER_SLOTS, 0);

/// Which array.
#[derive(Clone, Copy)]
pub enum By {
    /// Connections.
    Cookie,
    /// Bound sockets.
    Inode,
}

#[inline(always)]
fn slot(by: By, key: u64) -> Option<*mut Owner> {
    let (array, slots): (&Array<Owner>, u32) = match by {
        // Addresses of one slab differ in few bits only: a product spreads them (the golden ratio, as in `hash_64()`).
        By::Cookie if !has!(fn_socket_ptr_cookie) => {
            let spread = key.wrapping_mul(0x61c8_8646_80b5_83eb);
            return OWNERS.get_ptr_mut((spread >> 40) as u32 & (OWNER_SLOTS - 1));
        }
        By::Cookie => (&OWNERS, OWNER_SLOTS),
        By::Inode => (&BOUND_OWNERS, BOUND_OWNER_SLOTS),
    };
    array.get_ptr_mut(key as u32 & (slots - 1))
}

/// What a socket's owner is kept by: its cookie, which its `TIME_WAIT` inherits. Where programs cannot give it one (before
/// 5.12), its address in the kernel; who gives that to another socket must [`inherit`] or [`forget`].
#[inline(always)]
fn key_of(socket: &Socket) -> u64 {
    if has!(fn_socket_ptr_cookie) {
        socket.cookie
    } else {
        socket.sk
    }
}

/// The owner that was recorded for a socket, into `out`; else `out` is cleared. A connection's own record comes first: a
/// socket that was bound and then connected has both.
#[inline(always)]
pub fn of(socket: &Socket, out: &mut Owner) {
    get(By::Cookie, key_of(socket), out);
    if out.roles == 0 {
        get(By::Inode, socket.inode, out);
    }
}

/// A mini-socket takes a connection's place: what was recorded of that is true of it. Only where addresses are keys.
#[inline(always)]
pub fn inherit(sk: u64, tw: u64) {
    if has!(fn_socket_ptr_cookie) || tw == 0 {
        return;
    }
    // Whatever was at this address is gone.
    forget(tw);
    let mut owner = Owner::NONE;
    get(By::Cookie, sk, &mut owner);
    if owner.roles != 0 {
        owner.key = tw;
        set(By::Cookie, &mut owner);
    }
}

/// A socket ends, and its address will be another's. Only where addresses are keys.
#[inline(always)]
pub fn forget(sk: u64) {
    if has!(fn_socket_ptr_cookie) {
        return;
    }
    if let Some(slot) = slot(By::Cookie, sk) {
        // SAFETY: a valid map value.
        unsafe {
            if read_volatile(&raw const (*slot).key) == sk {
                write_volatile(&raw mut (*slot).key, 0);
            }
        }
    }
}

#[inline(always)]
fn get(by: By, key: u64, out: &mut Owner) {
    *out = Owner::NONE;
    if key == 0 {
        return;
    }
    let Some(slot) = slot(by, key) else { return };
    // SAFETY: a valid map value. It may be written meanwhile: the seal tells.
    unsafe {
        if read_volatile(&raw const (*slot).key) != key {
            return;
        }
        *out = read_volatile(slot);
    }
    if out.key != key || out.seal != out.seal_of() {
        *out = Owner::NONE;
    }
}

/// Records an owner, keeping what an earlier record of the same socket knows of how it got the port.
#[inline(always)]
pub fn set(by: By, owner: &mut Owner) {
    let key = owner.key;
    if key == 0 {
        return;
    }
    let Some(slot) = slot(by, key) else { return };
    // SAFETY: a valid map value. It may be written meanwhile: the seal tells.
    unsafe {
        let (roles, since_ns) = (
            read_volatile(&raw const (*slot).roles),
            read_volatile(&raw const (*slot).since_ns),
        );
        if read_volatile(&raw const (*slot).key) == key
            && read_volatile(&raw const (*slot).seal) == Owner::seal_at(slot)
        {
            owner.roles |= roles;
            if owner.since_ns == 0 {
                owner.since_ns = since_ns;
            }
        }
    }
    owner.seal = owner.seal_of();
    // SAFETY: a valid map value.
    unsafe {
        let other = read_volatile(&raw const (*slot).key);
        if other != 0 && other != key {
            count(Counter::OwnerEvicted);
        }
        write_volatile(slot, *owner);
    }
}
