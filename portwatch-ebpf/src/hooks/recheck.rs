//! A second look at `TIME_WAIT`s, which user space takes when their timers are due: no tracepoint shows their end.
//!
//! `iter/tcp` would show every socket of one namespace. The iterator over BPF maps is as good as any: there are few of
//! them, and this does all its work at the first.

use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;
use portwatch_common::{
    event::time_wait::{Recheck, Rechecked},
    maps::RECHECKS,
};

use crate::{
    hooks::iterators::{self, Meta},
    kernel::{ehash, read::read, sock},
    state::{globals::offset, queries},
};

/// `struct bpf_iter__bpf_map` of `kernel/bpf/map_iter.c`; every member takes eight bytes.
#[repr(C)]
pub struct BpfMap {
    meta: *const Meta,
    map: u64,
}

/// Writes a row for each entry of the list.
#[unsafe(link_section = "iter/bpf_map")]
#[unsafe(no_mangle)]
pub extern "C" fn recheck(ctx: *mut BpfMap) -> i32 {
    // SAFETY: the kernel's context, which always has `meta`.
    let (seq, seq_num) = unsafe { ((*(*ctx).meta).seq, (*(*ctx).meta).seq_num) };
    let map: u64 = read(ctx as u64, 8);
    if seq_num != 0 || map == 0 {
        return 0;
    }
    for index in 0..RECHECKS as u32 {
        let Some(asked) = queries::recheck(index) else {
            return 0;
        };
        if asked.tw == 0 {
            return 0;
        }
        let Some(row) = look(asked) else { continue };
        // SAFETY: the context's file and a whole row: all of them fit into its buffer.
        unsafe { iterators::write(seq, &raw const row) };
    }
    0
}

#[inline(always)]
fn look(asked: &Recheck) -> Option<Rechecked> {
    let hashed = ehash::is_hashed(asked.net, asked.hash, asked.tw)?;
    let tw = asked.tw;
    // The address may be another mini-socket's by now: ports and cookie tell.
    let port: u16 = read(tw, offset!(skc_num));
    let peer = u16::from_be(read(tw, offset!(skc_dport)));
    let present = hashed
        && u32::from(port) << 16 | u32::from(peer) == asked.ports
        && (asked.cookie == 0 || read::<u64>(tw, offset!(skc_cookie)) == asked.cookie);
    Some(Rechecked {
        // SAFETY: the helper has no conditions.
        boot_ns: unsafe { bpf_ktime_get_boot_ns() },
        tw: asked.tw,
        expires_in_jiffies: if present {
            sock::expires_in_jiffies(tw)
        } else {
            0
        },
        present: u32::from(present),
        substate: u32::from(read::<u8>(tw, offset!(tw_substate))),
    })
}
