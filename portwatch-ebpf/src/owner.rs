//! Who a port belongs to: of a connection by its cookie, of a bound socket by its inode.

use core::ptr::{read_volatile, write_volatile};

use aya_ebpf::maps::Array;
use portwatch_common::{
    counters::Counter,
    event::{owner::Owner, socket::Socket},
    maps::{BINDER_SLOTS, OWNER_SLOTS},
};

use crate::{
    emit,
    maps::{BINDERS, OWNERS},
};

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
        By::Cookie => (&OWNERS, OWNER_SLOTS),
        By::Inode => (&BINDERS, BINDER_SLOTS),
    };
    array.get_ptr_mut(key as u32 & (slots - 1))
}

/// The owner that was recorded for a socket, into `out`; else `out` is cleared. A connection's own record comes first: a
/// socket that was bound and then connected has both.
#[inline(always)]
pub fn of(socket: &Socket, out: &mut Owner) {
    get(By::Cookie, socket.cookie, out);
    if out.roles == 0 {
        get(By::Inode, socket.inode, out);
    }
}

#[inline(always)]
fn get(by: By, key: u64, out: &mut Owner) {
    *out = Owner::NONE;
    if key == 0 {
        return;
    }
    let Some(slot) = slot(by, key) else { return };
    // SAFETY: a valid map value. It may be written meanwhile: the keys before and after tell.
    unsafe {
        if read_volatile(&raw const (*slot).key) != key {
            return;
        }
        *out = read_volatile(slot);
        if read_volatile(&raw const (*slot).key) != key || out.key_again != key {
            *out = Owner::NONE;
        }
    }
}

/// Records an owner, keeping what an earlier record of the same socket knows of how it got the port.
#[inline(always)]
pub fn set(by: By, mut owner: Owner) {
    let key = owner.key;
    if key == 0 {
        return;
    }
    let Some(slot) = slot(by, key) else { return };
    // SAFETY: a valid map value. Both keys are cleared before and set after the rest is written.
    unsafe {
        let before = read_volatile(&raw const (*slot).key);
        if before == key {
            owner.roles |= (*slot).roles;
            if owner.since_ns == 0 {
                owner.since_ns = (*slot).since_ns;
            }
        } else if before != 0 {
            emit::count(Counter::OwnerEvicted);
        }
        write_volatile(&raw mut (*slot).key, 0);
        write_volatile(&raw mut (*slot).key_again, 0);
        (*slot).since_ns = owner.since_ns;
        (*slot).closed_ns = owner.closed_ns;
        (*slot).start_boot_ns = owner.start_boot_ns;
        (*slot).tgid = owner.tgid;
        (*slot).ppid = owner.ppid;
        (*slot).uid = owner.uid;
        (*slot).roles = owner.roles;
        (*slot).comm = owner.comm;
        write_volatile(&raw mut (*slot).key_again, key);
        write_volatile(&raw mut (*slot).key, key);
    }
}
