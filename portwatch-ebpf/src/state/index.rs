//! Index of bound and listening TCP sockets by port.
//!
//! A walk alone would miss them: the kernel adds to the front of a bucket's list, so thousands of `TIME_WAIT`s lie
//! before an old listener, and a walk has a budget. The index keeps addresses only, which may have gone to other
//! sockets since: readers look at each socket again before they believe it.

use aya_ebpf::{macros::map, maps::LruHashMap};
use portwatch_common::{
    counters::Counter,
    event::socket::Socket,
    maps::{INDEX_WAYS, IndexKey, PortIndex},
};

use crate::state::counters::count;

/// The index. LRU, because nothing removes a port that is no longer in use.
#[map]
static PORT_INDEX: LruHashMap<IndexKey, PortIndex> = LruHashMap::with_max_entries(16_384, 0);

/// The entry of a port.
#[inline(always)]
pub fn get(netns: u32, port: u16) -> Option<*const PortIndex> {
    PORT_INDEX.get_ptr(&IndexKey {
        netns,
        port: u32::from(port),
    })
}

/// Adds a socket that was bound or began to listen. `listened_ns` is when it began to listen, or 0. `is_stale` tells
/// whether a socket has left the port since.
#[inline(always)]
pub fn insert(socket: &Socket, listened_ns: u64, is_stale: impl Fn(u64) -> bool) {
    let key = IndexKey {
        netns: socket.netns,
        port: u32::from(socket.local.port),
    };
    if let Some(entry) = PORT_INDEX.get_ptr_mut(&key) {
        // SAFETY: a valid map value. If two CPUs write the same way, the index loses one socket, which a walk may still
        // find.
        let entry = unsafe { &mut *entry };
        if listened_ns != 0 {
            entry.listened_ns = listened_ns;
        }
        // Each way is judged only when it is needed: nothing tells the index that a socket closed.
        for way in entry.sk.iter_mut() {
            if *way == socket.sk || is_stale(*way) {
                *way = socket.sk;
                return;
            }
        }
        count(Counter::IndexFull);
        return;
    }
    let mut fresh = PortIndex {
        listened_ns,
        sk: [0; INDEX_WAYS],
    };
    fresh.sk[0] = socket.sk;
    if PORT_INDEX.insert(&key, &fresh, 0).is_err() {
        count(Counter::IndexFull);
    }
}
