//! The walk of the kernel's bind table for one port.
//!
//! One flat cursor loop: nested loops make the verifier look at every combination. Each step is a global function, which
//! the verifier looks at once. Nothing is locked, so a node may be freed under the walk: reads cannot fault, the number
//! of steps is bounded, and a socket counts only if its port and namespace are the ones asked for.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use portwatch_common::{
    event::{
        attempt::{Walk, flag, walk},
        socket::{flag as socket_flag, state},
    },
    maps::INDEX_WAYS,
};

use crate::{
    kernel::{
        candidate,
        read::{Word, read},
        sock::Common,
    },
    state::{
        globals::{has, offset},
        index, refusals,
        work::{Context, Cursor, Work},
    },
};

/// Steps of one walk; the counts of a longer bucket are lower bounds. 400 take about 40 us.
const BUDGET: u32 = 400;
/// Buckets looked at in one hash chain; the table has as many chains as ports on most machines.
const CHAIN: u32 = 64;
/// How long before its end a call without an entry can have been refused.
const JUST_NOW_NS: u64 = 1_000_000_000;

/// Walks the table for the attempt in the work area. `udp` selects the table.
///
/// # Safety
///
/// `work` is the context's own work area, and no reference to it lives: the steps write to it.
#[inline(always)]
pub unsafe fn walk(context: Context, work: *mut Work, binder: u64, net: u64, port: u16, udp: bool) {
    // SAFETY: the caller's promise.
    let found = unsafe { prepare(&mut *work, binder, net, port, udp) };
    exact(context as u32);
    if !udp && port != 0 && net != 0 {
        if recall(context as u32) != 0 {
            for way in 0..INDEX_WAYS {
                // SAFETY: the caller's promise. To look here is less than to call for nothing.
                if unsafe { (*work).indexed[way] } != 0 {
                    indexed(context as u32, way as u32);
                }
            }
        }
    }
    if !found {
        return;
    }
    let mut steps = 0;
    while steps < BUDGET {
        if step(context as u32) == 0 {
            return;
        }
        steps += 1;
    }
    // SAFETY: the caller's promise.
    unsafe { (*work).conflict.walk.flags |= walk::TRUNCATED };
}

/// Sets the cursor to the beginning of the port's bucket. False if there is nothing to walk.
#[inline(always)]
fn prepare(work: &mut Work, binder: u64, net: u64, port: u16, udp: bool) -> bool {
    let device = work.conflict.attempt.socket.bound_dev_if;
    let walk = &mut work.conflict.walk;
    walk.flags = 0;
    walk.visited = 0;
    walk.counts = [0; state::COUNT];
    walk.candidates_len = 0;
    let cursor = &mut work.cursor;
    *cursor = Cursor {
        node: 0,
        tb2: 0,
        tb2_first: 0,
        link: 0,
        pass: 2,
        at_head: 0,
        connect_only: 0,
        binder,
        net,
        port: u32::from(port),
        udp: u32::from(udp),
        live: 0,
        time_wait: 0,
        harmless: 0,
        last_live: 0,
        last_time_wait: 0,
    };
    if port == 0 || net == 0 {
        return false;
    }
    if udp {
        udp_slot(cursor, walk)
    } else {
        tcp_bucket(cursor, walk, device)
    }
}

/// Finds the TCP bucket of the port: `inet_bind_bucket`, by `inet_bhashfn()`.
#[inline(always)]
fn tcp_bucket(cursor: &mut Cursor, walk: &mut Walk, device: u32) -> bool {
    if !has!(net_tcp_hashinfo) || (!has!(tb_owners) && !has!(tb_bhash2)) {
        walk.flags |= walk::UNSUPPORTED;
        return false;
    }
    let hashinfo: u64 = read(cursor.net, offset!(net_tcp_hashinfo));
    let heads: u64 = read(hashinfo, offset!(hashinfo_bhash));
    let size: u32 = read(hashinfo, offset!(hashinfo_bhash_size));
    if heads == 0 || size == 0 {
        walk.flags |= walk::UNSUPPORTED;
        return false;
    }
    let mix: u32 = read(cursor.net, offset!(net_hash_mix));
    let slot = cursor.port.wrapping_add(mix) & (size - 1);
    let head = heads + u64::from(slot) * u64::from(offset!(bhash_head_size));
    let mut node: u64 = read(head, offset!(bhash_chain));
    let mut steps = 0;
    while steps < CHAIN {
        steps += 1;
        if node == 0 {
            return false;
        }
        let bucket = node - u64::from(offset!(tb_node));
        let word = Word::around(bucket, offset!(tb_port));
        if word.u16(offset!(tb_port)) == cursor.port as u16
            && read::<u64>(bucket, offset!(tb_net)) == cursor.net
            && is_same_domain(word, device)
        {
            enter_bucket(bucket, word, cursor);
            walk.flags |= walk::BUCKET_FOUND;
            return true;
        }
        node = read(node, 0);
    }
    walk.flags |= walk::TRUNCATED;
    false
}

/// A VRF has buckets of its own (`inet_bind_bucket_match()` compares the L3 master device). A socket without a device is
/// in none; of one with a device it is not known whether it is in a VRF, so that any bucket may be its own.
#[inline(always)]
fn is_same_domain(bucket: Word, device: u32) -> bool {
    device != 0 || !has!(tb_l3mdev) || bucket.u32(offset!(tb_l3mdev)) == 0
}

#[inline(always)]
fn enter_bucket(bucket: u64, word: Word, cursor: &mut Cursor) {
    let never: i8 = -1;
    if word.u8(offset!(tb_fastreuse)) as i8 == never
        && word.u8(offset!(tb_fastreuseport)) as i8 == never
    {
        cursor.connect_only = 1;
    }
    cursor.link = offset!(skc_bind_node);
    // Both members lie at the same place on the kernels seen, so that only their presence can tell.
    if has!(tb_bhash2) {
        cursor.tb2 = read(bucket, offset!(tb_bhash2));
        cursor.tb2_first = cursor.tb2;
        cursor.pass = 1;
    } else {
        cursor.node = read(bucket, offset!(tb_owners));
    }
}

/// Finds the UDP slot of the port, by `udp_hashfn()`.
#[inline(always)]
fn udp_slot(cursor: &mut Cursor, walk: &mut Walk) -> bool {
    // UDP-Lite has a table of its own, where the protocol knows one.
    let prot: u64 = read(cursor.binder, offset!(skc_prot));
    let mut table: u64 = read(prot, offset!(prot_udp_table));
    if table == 0 {
        table = read(cursor.net, offset!(net_udp_table));
    }
    let slots: u64 = read(table, offset!(udp_hash));
    if slots == 0 {
        walk.flags |= walk::UNSUPPORTED;
        return false;
    }
    let mask: u32 = read(table, offset!(udp_mask));
    let mix: u32 = read(cursor.net, offset!(net_hash_mix));
    let slot = cursor.port.wrapping_add(mix) & mask;
    let head = slots + u64::from(slot) * u64::from(offset!(udp_slot_size));
    cursor.node = read(head, offset!(udp_slot_head));
    cursor.link = offset!(skc_node);
    walk.flags |= walk::BUCKET_FOUND;
    true
}

/// One step: a socket, or on to the next per-address bucket. 0 at the end.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn step(context: u32) -> u32 {
    let Some(work) = Work::of(context) else {
        return 0;
    };
    // SAFETY: a valid per-CPU value, which no program of another context touches.
    let work = unsafe { &mut *work };
    let cursor = &mut work.cursor;
    work.conflict.walk.visited += 1;
    // The lists of a UDP slot end in NULL, as those of a bucket do.
    if cursor.node == 0 {
        return next_bucket(cursor);
    }
    let sk = cursor.node - u64::from(cursor.link);
    let first = cursor.at_head != 0;
    cursor.at_head = 0;
    cursor.node = if first && cursor.pass == 1 {
        0
    } else {
        read(cursor.node, 0)
    };
    if first && cursor.pass == 2 && has!(tb_bhash2) {
        // Seen in the first pass.
        return 1;
    }
    consider(work, sk, 0);
    1
}

/// On to the next per-address bucket, or to the second pass. Heads come first: lists are last-in first-out, and a
/// listener's bucket must not wait behind thousands of connections in another's.
#[inline(always)]
fn next_bucket(cursor: &mut Cursor) -> u32 {
    if cursor.tb2 == 0 {
        if cursor.pass == 2 || cursor.tb2_first == 0 {
            return 0;
        }
        cursor.pass = 2;
        cursor.tb2 = cursor.tb2_first;
    }
    let bucket = cursor.tb2 - u64::from(offset!(tb2_bhash_node));
    cursor.node = read(bucket, offset!(tb2_owners));
    cursor.at_head = 1;
    cursor.tb2 = read(cursor.tb2, 0);
    1
}

/// Puts the socket first that the kernel itself refused the call for.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn exact(context: u32) -> u32 {
    let thread = bpf_get_current_pid_tgid();
    let Some(exact) = refusals::of(thread) else {
        return 0;
    };
    let Some(work) = Work::of(context) else {
        return 0;
    };
    // SAFETY: valid values, which nobody else writes now: the one is this thread's, the other this context's.
    let (work, exact) = unsafe { (&mut *work, &*exact) };
    let attempt = &work.conflict.attempt;
    // Of this call, and not of one whose return was not seen.
    let begun = if attempt.flags & (flag::KERNEL | flag::COMPAT) != 0 {
        attempt.returned_ns.wrapping_sub(JUST_NOW_NS)
    } else {
        attempt.enter_ns
    };
    let port = exact.candidate.socket.local.port;
    if exact.boot_ns >= begun && port == work.cursor.port as u16 {
        let kept = &mut work.conflict.walk.candidates[0];
        *kept = exact.candidate;
        if work.cursor.connect_only != 0 {
            kept.socket.flags |= socket_flag::BUCKET_CONNECT_ONLY;
        }
        if kept.socket.state == state::TIME_WAIT {
            work.cursor.time_wait = 1;
        } else {
            work.cursor.live = 1;
        }
        work.conflict.walk.candidates_len = 1;
    }
    refusals::remove(thread);
    0
}

/// Copies what the index knows of the port. 0 if that is nothing.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn recall(context: u32) -> u32 {
    let Some(work) = Work::of(context) else {
        return 0;
    };
    // SAFETY: as in `step`.
    let work = unsafe { &mut *work };
    let netns = work.conflict.attempt.socket.netns;
    let Some(entry) = index::get(netns, work.cursor.port as u16) else {
        return 0;
    };
    // SAFETY: a valid map value.
    let entry = unsafe { &*entry };
    if entry.listened_ns != 0 {
        work.conflict.walk.flags |= walk::HAD_LISTENER;
    }
    work.indexed = entry.sk;
    1
}

/// Looks at a socket of the index.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn indexed(context: u32, way: u32) -> u32 {
    let Some(work) = Work::of(context) else {
        return 0;
    };
    // SAFETY: as in `step`.
    let work = unsafe { &mut *work };
    let sk = work.indexed[way as usize & (INDEX_WAYS - 1)];
    consider(work, sk, 1);
    0
}

/// Counts a socket and keeps it if it can matter.
#[inline(always)]
fn consider(work: &mut Work, sk: u64, from_index: u32) {
    let cursor = &work.cursor;
    if sk == cursor.binder {
        return;
    }
    // SAFETY: the buffer is a map value of that length.
    let Some(common) = (unsafe { Common::copy(sk, work.common.as_mut_ptr()) }) else {
        work.conflict.walk.flags |= walk::DISTURBED;
        return;
    };
    let state = common.state();
    if !common.is_inet() || common.port() != cursor.port as u16 || common.net() != cursor.net {
        // Another port of the same UDP slot, or a stale entry of the index; anything else is a change under the walk.
        if cursor.udp == 0 && from_index == 0 {
            work.conflict.walk.flags |= walk::DISTURBED;
        }
        return;
    }
    if from_index != 0 {
        // An address that was given to another socket since: only what is bound without a connection is indexed.
        if state != state::LISTEN && state != state::CLOSE {
            return;
        }
    } else if (state as usize) < state::COUNT {
        work.conflict.walk.counts[state as usize] += 1;
    }
    candidate::keep(work, sk, common, from_index);
}
