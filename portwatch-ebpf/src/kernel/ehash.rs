//! The kernel's table of connections (`ehash`), to find `TIME_WAIT` mini-sockets.
//!
//! Without hooks on functions nothing tells of a mini-socket: `inet_sock_set_state` never has `TIME_WAIT` as a new
//! state.

use portwatch_common::event::socket::state;

use crate::{
    kernel::{
        read::{peek, read},
        sock,
    },
    state::globals::offset,
};

/// Longest part of a hash chain that is searched. A new mini-socket is the first of its chain.
const CHAIN: u32 = 32;

/// The mini-socket that took the place of a connection: the one with its addresses, ports and namespace. 0 if there is
/// none.
///
/// To be called when the connection goes to `TCP_CLOSE`. `tcp_time_wait()` has put the mini-socket into the table by
/// then: it does so before the connection leaves.
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

/// Members that a mini-socket has in common with its connection. IPv6 addresses are left to the hash.
struct Tuple {
    hash: u32,
    port: u16,
    peer: u16,
    daddr: u32,
    saddr: u32,
    net: u64,
}

impl Tuple {
    /// 0 for a mini-socket of this tuple.
    ///
    /// One number and no conditions: a verifier would look at each combination of them, in each step of the loop.
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

/// True if a mini-socket is in the table; `None` if the table cannot be searched to the end of the chain.
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

/// The first connection of a hash chain; 0 if there is no table. A namespace may have a table of its own.
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

/// The end of a `hlist_nulls` is an odd number. A node that cannot be read is 0.
#[inline(always)]
fn is_end(node: u64) -> bool {
    node == 0 || node & 1 != 0
}
