//! The kernel's table of connections: where a `TIME_WAIT` mini-socket is found.

use portwatch_common::event::socket::state;

use crate::{
    kernel::{
        read::{peek, read},
        sock,
    },
    state::globals::offset,
};

/// Connections looked at in one hash chain. A mini-socket that has just begun is the first.
const CHAIN: u32 = 32;

/// The mini-socket that took the place of a connection: the one with its addresses, ports and namespace. 0 if there is
/// none.
///
/// Of `tcp_time_wait()` by the time when the connection is `TCP_CLOSE`: it enters the table before that leaves it.
#[inline(always)]
pub fn time_wait_of(sk: u64) -> u64 {
    let tuple = Tuple {
        hash: read(sk, offset!(skc_hash)),
        port: sock::last_port(sk),
        peer: read(sk, offset!(skc_dport)),
        daddr: read(sk, offset!(skc_daddr)),
        saddr: read(sk, offset!(skc_rcv_saddr)),
        net: read(sk, offset!(skc_net)),
    };
    let mut node = first(tuple.net, tuple.hash);
    let mut steps = 0;
    while steps < CHAIN && !is_end(node) {
        steps += 1;
        let found = node - u64::from(offset!(skc_node));
        if tuple.differs(found) == 0 {
            return found;
        }
        node = peek(node);
    }
    0
}

/// What a mini-socket has in common with its connection. (Of IPv6 addresses the hash is enough, with the rest.)
struct Tuple {
    hash: u32,
    port: u16,
    peer: u16,
    daddr: u32,
    saddr: u32,
    net: u64,
}

impl Tuple {
    /// 0 for a mini-socket of this tuple. One number and no conditions: verifiers look at each combination of these.
    #[inline(always)]
    fn differs(&self, tw: u64) -> u64 {
        u64::from(peek::<u32>(tw + u64::from(offset!(skc_hash))) ^ self.hash)
            | u64::from(peek::<u16>(tw + u64::from(offset!(skc_num))) ^ self.port)
            | u64::from(peek::<u16>(tw + u64::from(offset!(skc_dport))) ^ self.peer)
            | u64::from(peek::<u32>(tw + u64::from(offset!(skc_daddr))) ^ self.daddr)
            | u64::from(peek::<u32>(tw + u64::from(offset!(skc_rcv_saddr))) ^ self.saddr)
            | peek::<u64>(tw + u64::from(offset!(skc_net))) ^ self.net
            | u64::from(peek::<u8>(tw + u64::from(offset!(skc_state))) ^ state::TIME_WAIT)
    }
}

/// True if a mini-socket is in the table of connections; `None` if the table cannot be searched.
#[inline(always)]
pub fn is_hashed(net: u64, hash: u32, tw: u64) -> Option<bool> {
    let mut node = first(net, hash);
    if node == 0 {
        return None;
    }
    let mut steps = 0;
    while steps < CHAIN {
        steps += 1;
        if is_end(node) {
            return Some(false);
        }
        if node - u64::from(offset!(skc_node)) == tw {
            return Some(true);
        }
        node = peek(node);
    }
    None
}

/// The first connection of a hash chain; 0 if there is no table.
#[inline(always)]
fn first(net: u64, hash: u32) -> u64 {
    let hashinfo: u64 = read(net, offset!(net_tcp_hashinfo));
    let heads: u64 = read(hashinfo, offset!(hashinfo_ehash));
    let mask: u32 = read(hashinfo, offset!(hashinfo_ehash_mask));
    if heads == 0 {
        return 0;
    }
    let head = heads + u64::from(hash & mask) * u64::from(offset!(ehash_head_size));
    read(head, offset!(ehash_chain))
}

/// A list of this kind ends with an odd number (`hlist_nulls`); one that cannot be read is 0.
#[inline(always)]
fn is_end(node: u64) -> bool {
    node == 0 || node & 1 != 0
}
