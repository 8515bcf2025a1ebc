//! The walk of the kernel's bind table for one port.
//!
//! The kernel stops at the first conflict and names no socket. So the walk lists all sockets of the port just after. It
//! holds no lock: the blocker may be gone by then, and user space never blames a socket that came later.
//!
//! One flat loop with a cursor: from nested loops the verifier follows every combination, more than a million
//! instructions. Each step is a global function, which the verifier looks at once.
//!
//! Three layouts, which BTF tells apart:
//!
//! - TCP up to 6.7: `inet_bind_bucket.owners` links all sockets and mini-sockets of the port. 6.1 to 6.7 have lists by
//!   address as well, which hold nothing else.
//! - TCP since 6.8: `inet_bind_bucket.bhash2` links buckets by address, and each of these links its sockets.
//! - UDP: a slot links sockets of all ports with the same hash.

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

/// Most steps of one walk. A refused caller waits for the walk: 400 steps add some 20 us, and a busy port has 20,000
/// `TIME_WAIT`s. Counts of a longer bucket are lower bounds.
const BUDGET: u32 = 400;
/// Most buckets of one hash chain. On most machines the table has as many chains as there are ports.
const CHAIN: u32 = 64;
/// How long a call without an entry takes at most, from its refusal to its end.
const JUST_NOW_NS: u64 = 1_000_000_000;

/// Walks the table for the attempt in the work area. `udp` selects the table.
///
/// # Safety
///
/// `work` is the context's own work area, and no reference to it lives: the steps write to it.
#[inline(always)]
pub unsafe fn walk(context: Context, work: *mut Work, binder: u64, net: u64, port: u16, udp: bool) {
    // The quotas are filled in order of proof: the kernel's own answer, then the index, then the walk.
    // SAFETY: the caller's promise.
    let found = unsafe { prepare(&mut *work, binder, net, port, udp) };
    exact(context as u32);
    if !udp && port != 0 && net != 0 {
        if recall(context as u32) != 0 {
            for way in 0..INDEX_WAYS {
                // SAFETY: the caller's promise. Most ways are empty, and a look costs less than a call.
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
///
/// The port is the one that the caller asked for: a failed `bind()` has reset the socket's own by now.
#[inline(always)]
fn prepare(work: &mut Work, binder: u64, net: u64, port: u16, udp: bool) -> bool {
    let device = work.conflict.attempt.socket.bound_dev_if;
    // Not the candidates, which are most of the record: beyond `candidates_len` nobody reads them.
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
///
/// Through the namespace and not through the protocol: `sk_prot->h.hashinfo` is null for TCP since 6.1.
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
    // All namespaces share this table, also those with an `ehash` of their own; `hash_mix` spreads them.
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

/// True if a bucket can be the one of a socket that is bound to this device.
///
/// A VRF has buckets of its own: `inet_bind_bucket_match()` compares the L3 master device. A socket without a device is
/// in no VRF. Whether another one's device belongs to a VRF is not known here, so any bucket may be its own.
#[inline(always)]
fn is_same_domain(bucket: Word, device: u32) -> bool {
    device != 0 || !has!(tb_l3mdev) || bucket.u32(offset!(tb_l3mdev)) == 0
}

#[inline(always)]
fn enter_bucket(bucket: u64, word: Word, cursor: &mut Cursor) {
    // -1 in both: `connect()` made the bucket, and no `bind()` joined it. Nothing else follows from them: since 6.8
    // `fastreuse` never becomes positive.
    let never: i8 = -1;
    if word.u8(offset!(tb_fastreuse)) as i8 == never
        && word.u8(offset!(tb_fastreuseport)) as i8 == never
    {
        cursor.connect_only = 1;
    }
    cursor.link = offset!(skc_bind_node);
    // Both members lie at offset 64 on all kernels that were seen: a wrong guess would read garbage silently.
    // Distributions backport the new layout to older kernels, so only the member's presence in BTF can tell.
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
    // Up to 6.1 the protocol has the table, since 6.2 the namespace. In between, UDP-Lite still has one of its own, by
    // its protocol: so that comes first.
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

/// One step: looks at a socket, or goes on to the next per-address bucket. 0 at the end.
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
    // Every list here is a `hlist` and ends in null; one that cannot be read ends as well.
    if cursor.node == 0 {
        return next_bucket(cursor);
    }
    let sk = cursor.node - u64::from(cursor.link);
    // The cursor goes on before the socket is looked at: the socket may end the step in many places.
    let first = cursor.at_head != 0;
    cursor.at_head = 0;
    cursor.node = if first && cursor.pass == 1 {
        0
    } else {
        read(cursor.node, 0)
    };
    if first && cursor.pass == 2 && has!(tb_bhash2) {
        // The first pass has seen it.
        return 1;
    }
    consider(work, sk, 0);
    1
}

/// Goes on to the next per-address bucket, or to the second pass.
///
/// The first pass takes one socket of each bucket: a listener alone on its address must not wait behind thousands of
/// connections in the bucket of another.
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

/// Puts the socket first that made the kernel refuse the call, if hooks on the comparing functions caught it.
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
    // SAFETY: valid values, which nothing else writes now: one belongs to this thread, the other to this context.
    let (work, exact) = unsafe { (&mut *work, &*exact) };
    let attempt = &work.conflict.attempt;
    // It must be of this call, and not of an earlier one of the thread whose return the kernel skipped. Binds of the
    // kernel and of 32-bit programs have no entry with a time.
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

/// Copies the index's entry of the port. 0 if there is none.
///
/// Once, and not for each of its ways: that saved a part of 300 to 400 ns of a refusal.
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

/// Counts a socket, and keeps it if it can matter.
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
        // The proof that this is a socket of the port, wherever the node came from. Another port is usual in a UDP
        // slot, and in the index if the address went to another socket. Otherwise the list changed under the walk.
        if cursor.udp == 0 && from_index == 0 {
            work.conflict.walk.flags |= walk::DISTURBED;
        }
        return;
    }
    if from_index != 0 {
        // The index has only sockets without a connection. Any other state means that the address went to another
        // socket.
        if state != state::LISTEN && state != state::CLOSE {
            return;
        }
    } else if (state as usize) < state::COUNT {
        work.conflict.walk.counts[state as usize] += 1;
    }
    candidate::keep(work, sk, common, from_index);
}
