//! `TIME_WAIT` mini-sockets: where the kernel keeps them, and the records of their lives.

use aya_ebpf::helpers::generated::{bpf_get_smp_processor_id, bpf_ktime_get_boot_ns};
use portwatch_common::event::{Header, Kind, socket::state, time_wait::TimeWait};

use crate::{
    emit,
    globals::offset,
    owner, port,
    read::read,
    sock::{self, COMMON_LEN, Common},
};

/// Connections looked at in one hash chain. A mini-socket that has just begun is the first.
const CHAIN: u32 = 64;
/// What [`find`] answers when a chain is longer: not an address.
pub const TOO_LONG: u64 = 1;

/// The mini-socket that took the place of a connection: the one with its addresses, ports and namespace. 0 if there is
/// none.
///
/// Of `tcp_time_wait()` by the time when the connection is `TCP_CLOSE`: it enters the table before that leaves it.
#[inline(always)]
pub fn of(sk: u64) -> u64 {
    let net: u64 = read(sk, offset!(skc_net));
    let found = find(
        net,
        read(sk, offset!(skc_hash)),
        port::of(sk),
        u16::from_be(read(sk, offset!(skc_dport))),
        read(sk, offset!(skc_daddr)),
        read(sk, offset!(skc_rcv_saddr)),
        0,
    );
    if found == TOO_LONG { 0 } else { found }
}

/// Looks a mini-socket up in the table of connections: its address, 0 if it is not there, or [`TOO_LONG`]. With `tw` only
/// that one counts, and addresses do not.
#[inline(always)]
pub fn find(net: u64, hash: u32, port: u16, peer: u16, daddr: u32, saddr: u32, tw: u64) -> u64 {
    let hashinfo: u64 = read(net, offset!(net_tcp_hashinfo));
    let heads: u64 = read(hashinfo, offset!(hashinfo_ehash));
    let mask: u32 = read(hashinfo, offset!(hashinfo_ehash_mask));
    if heads == 0 {
        return 0;
    }
    let head = heads + u64::from(hash & mask) * u64::from(offset!(ehash_head_size));
    let mut node: u64 = read(head, offset!(ehash_chain));
    let mut steps = 0;
    while steps < CHAIN {
        steps += 1;
        // A list of this kind ends with an odd number (`hlist_nulls`).
        if node == 0 || node & 1 != 0 {
            return 0;
        }
        let found = node - u64::from(offset!(skc_node));
        let same = if tw == 0 {
            read::<u32>(found, offset!(skc_hash)) == hash
                && read::<u16>(found, offset!(skc_num)) == port
                && u16::from_be(read(found, offset!(skc_dport))) == peer
                && read::<u32>(found, offset!(skc_daddr)) == daddr
                && read::<u32>(found, offset!(skc_rcv_saddr)) == saddr
                && read::<u64>(found, offset!(skc_net)) == net
        } else {
            found == tw
        };
        if same && read::<u8>(found, offset!(skc_state)) == state::TIME_WAIT {
            return found;
        }
        node = read(node, 0);
    }
    TOO_LONG
}

/// Sends a record. A function of its own, which the verifier looks at once.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn send_time_wait(tw: u64, action: u32, reason: u32, flags: u32) -> u32 {
    let mut common = [0; COMMON_LEN];
    // SAFETY: a buffer of that length, which outlives the copy.
    let Some(common) = (unsafe { Common::copy(tw, common.as_mut_ptr()) }) else {
        return 0;
    };
    let Some(mut entry) = emit::reserve::<TimeWait>() else {
        return 0;
    };
    let hash = read(tw, offset!(skc_hash));
    let record = entry.as_mut_ptr();
    // SAFETY: the reserved memory is written in full before it is submitted; `fill` and `of` read none of it.
    unsafe {
        (*record).header = Header {
            boot_ns: bpf_ktime_get_boot_ns(),
            kind: Kind::TimeWait as u16,
            len: size_of::<TimeWait>() as u16,
            cpu: bpf_get_smp_processor_id(),
        };
        sock::fill(tw, common, &mut (*record).socket);
        owner::of(&(*record).socket, &mut (*record).owner);
        (*record).net = common.net();
        (*record).hash = hash;
        (*record).action = action;
        (*record).reason = reason;
        (*record).flags = flags;
        let wanted = port::is_streamed(&(*record).socket, &(*record).owner);
        emit::submit_if(wanted, entry);
    }
    0
}
