//! The index of bound TCP sockets by port. Best effort: whoever reads it looks at each socket anew.

use aya_ebpf::{macros::map, maps::LruHashMap};
use portwatch_common::{
    counters::Counter,
    event::socket::Socket,
    maps::{INDEX_WAYS, IndexKey, PortIndex},
};

use crate::state::counters::count;

/// Listening and bound TCP sockets by port, so that a listener is found behind thousands of `TIME_WAIT`s.
#[map]
static PORT_INDEX: LruHashMap<IndexKey, PortIndex> = LruHashMap::with_max_entries(16_384, 0);

/// The index entry of a port, for reading.
#[inline(always)]
pub fn get(netns: u32, port: u16) -> Option<*const PortIndex> {
    PORT_INDEX.get_ptr(&IndexKey {
        netns,
        port: u32::from(port),
    })
}

/// Remembers a socket that was bound or listens; `listened_ns` is when it began to listen, 0 if it did not. `is_stale` says
/// whether a socket no longer has the port.
#[inline(always)]
pub fn insert(socket: &Socket, listened_ns: u64, is_stale: impl Fn(u64) -> bool) {
    let key = IndexKey {
        netns: socket.netns,
        port: u32::from(socket.local.port),
    };
    if let Some(entry) = PORT_INDEX.get_ptr_mut(&key) {
        // SAFETY: a valid map value. Two CPUs may write the same way: one of the sockets is not remembered then.
        let entry = unsafe { &mut *entry };
        if listened_ns != 0 {
            entry.listened_ns = listened_ns;
        }
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
