//! Who a connection belongs to, by its cookie.

use core::ptr::{read_volatile, write_volatile};

use portwatch_common::{counters::Counter, event::owner::Owner, maps::OWNER_SLOTS};

use crate::{emit, maps::OWNERS};

#[inline(always)]
fn slot(cookie: u64) -> Option<*mut Owner> {
    OWNERS.get_ptr_mut(cookie as u32 & (OWNER_SLOTS - 1))
}

/// Copies the owner that was recorded for `cookie` to `out`, or clears `out`.
#[inline(always)]
pub fn get(cookie: u64, out: &mut Owner) {
    *out = Owner::NONE;
    if cookie == 0 {
        return;
    }
    let Some(slot) = slot(cookie) else { return };
    // SAFETY: a valid map value. It may be written meanwhile: the cookies before and after tell.
    unsafe {
        if read_volatile(&raw const (*slot).cookie) != cookie {
            return;
        }
        *out = read_volatile(slot);
        if read_volatile(&raw const (*slot).cookie) != cookie || out.cookie_again != cookie {
            *out = Owner::NONE;
        }
    }
}

/// Records an owner, keeping what an earlier record for the same cookie knows of `connect()`.
#[inline(always)]
pub fn set(cookie: u64, mut owner: Owner) {
    let Some(slot) = slot(cookie) else { return };
    // SAFETY: a valid map value. Both cookies are cleared before and set after the rest is written.
    unsafe {
        let before = read_volatile(&raw const (*slot).cookie);
        if before == cookie {
            owner.roles |= (*slot).roles;
            if owner.connected_ns == 0 {
                owner.connected_ns = (*slot).connected_ns;
            }
        } else if before != 0 {
            emit::count(Counter::OwnerEvicted);
        }
        write_volatile(&raw mut (*slot).cookie, 0);
        write_volatile(&raw mut (*slot).cookie_again, 0);
        (*slot).connected_ns = owner.connected_ns;
        (*slot).closed_ns = owner.closed_ns;
        (*slot).start_boot_ns = owner.start_boot_ns;
        (*slot).tgid = owner.tgid;
        (*slot).ppid = owner.ppid;
        (*slot).uid = owner.uid;
        (*slot).roles = owner.roles;
        (*slot).comm = owner.comm;
        write_volatile(&raw mut (*slot).cookie_again, cookie);
        write_volatile(&raw mut (*slot).cookie, cookie);
    }
}
