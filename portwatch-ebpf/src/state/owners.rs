//! Owners: which process got each port.
//!
//! A connection is keyed by its cookie, which its `TIME_WAIT` inherits: no other member of a mini-socket leads to a
//! process. A bound socket is keyed by its inode, which it has from its first moment; a cookie it gets only when asked.
//!
//! Both maps are arrays with one slot for each hash. An LRU map took 0.7 us of each `connect()`, an array takes 0.19
//! us. The price: a newer owner evicts an older one of the same slot, which is counted.

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

/// Which array to use.
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
        // Addresses of one slab differ in a few bits only. A product with the golden ratio spreads them (`hash_64()`).
        By::Cookie if !has!(fn_socket_ptr_cookie) => {
            let spread = key.wrapping_mul(0x61c8_8646_80b5_83eb);
            return OWNERS.get_ptr_mut((spread >> 40) as u32 & (OWNER_SLOTS - 1));
        }
        By::Cookie => (&OWNERS, OWNER_SLOTS),
        By::Inode => (&BOUND_OWNERS, BOUND_OWNER_SLOTS),
    };
    array.get_ptr_mut(key as u32 & (slots - 1))
}

/// The key of a connection: its cookie, or its address where programs cannot give it a cookie (before 5.12).
///
/// The kernel gives the address of a freed socket to the next one within milliseconds, so hooks must [`inherit`] or
/// [`forget`] it in time.
#[inline(always)]
fn key_of(socket: &Socket) -> u64 {
    if has!(fn_socket_ptr_cookie) {
        socket.cookie
    } else {
        socket.sk
    }
}

/// Copies the owner of a socket into `out`, or clears `out`.
///
/// A socket that was bound and then connected has two records. The connection's comes first: its role is the later one.
#[inline(always)]
pub fn of(socket: &Socket, out: &mut Owner) {
    get(By::Cookie, key_of(socket), out);
    if out.roles == 0 {
        get(By::Inode, socket.inode, out);
    }
}

/// Hands a connection's owner to the mini-socket that takes its place. Only where addresses are keys.
#[inline(always)]
pub fn inherit(sk: u64, tw: u64) {
    if has!(fn_socket_ptr_cookie) || tw == 0 {
        return;
    }
    // The record of an earlier mini-socket at this address must not survive, whether or not there is a new one.
    forget(tw);
    let mut owner = Owner::NONE;
    get(By::Cookie, sk, &mut owner);
    if owner.roles != 0 {
        owner.key = tw;
        set(By::Cookie, &mut owner);
    }
}

/// Drops the owner of a socket that ends, before its address becomes another's. Only where addresses are keys.
#[inline(always)]
pub fn forget(sk: u64) {
    if has!(fn_socket_ptr_cookie) {
        return;
    }
    if let Some(slot) = slot(By::Cookie, sk) {
        // SAFETY: a valid map value. Only the key is cleared: the seal no longer fits then, and no reader takes the
        // rest.
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
    // SAFETY: a valid map value. Another CPU may write it meanwhile, so nothing is believed before the seal fits.
    unsafe {
        // The key alone first: only the right owner is worth a copy of 72 bytes.
        if read_volatile(&raw const (*slot).key) != key {
            return;
        }
        *out = read_volatile(slot);
    }
    // The copy, not the slot: the slot may have changed between its key and the rest. A copy whose seal does not fit is
    // a mixture of two owners, and no owner is better than a wrong one.
    if out.key != key || out.seal != out.seal_of() {
        *out = Owner::NONE;
    }
}

/// Stores an owner. Roles and time of an earlier record of the same socket stay: whoever closes a connection must not
/// hide who made it.
#[inline(always)]
pub fn set(by: By, owner: &mut Owner) {
    let key = owner.key;
    if key == 0 {
        return;
    }
    let Some(slot) = slot(by, key) else { return };
    // SAFETY: a valid map value. Another CPU may write it meanwhile: the seal is compared after the other reads.
    unsafe {
        let (roles, since_ns) = (
            read_volatile(&raw const (*slot).roles),
            read_volatile(&raw const (*slot).since_ns),
        );
        // The seal is computed in the slot: a copy on the stack would be 72 bytes of 512, up to 6.12.
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
    // SAFETY: a valid map value. Nothing claims the slot, for want of an atomic exchange on old kernels. If two CPUs
    // write at once, readers find a mixture whose seal does not fit, and so no owner.
    unsafe {
        let other = read_volatile(&raw const (*slot).key);
        if other != 0 && other != key {
            count(Counter::OwnerEvicted);
        }
        write_volatile(slot, *owner);
    }
}
