//! The index of bound TCP sockets by port. Best effort: whoever reads it looks at each socket anew.

use portwatch_common::{
    counters::Counter,
    event::socket::{Socket, state},
    maps::{INDEX_WAYS, IndexKey, PortIndex},
};

use crate::{
    kernel::read::read,
    records::emit,
    state::{globals::offset, maps::PORT_INDEX},
};

/// The index entry of a port, for reading.
#[inline(always)]
pub fn get(netns: u32, port: u16) -> Option<*const PortIndex> {
    PORT_INDEX.get_ptr(&IndexKey {
        netns,
        port: u32::from(port),
    })
}

/// Remembers a socket that was bound or listens; `listened_ns` is when it began to listen, 0 if it did not.
#[inline(always)]
pub fn insert(socket: &Socket, listened_ns: u64) {
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
            if *way == socket.sk || is_stale(*way, socket.local.port) {
                *way = socket.sk;
                return;
            }
        }
        emit::count(Counter::IndexFull);
        return;
    }
    let mut fresh = PortIndex {
        listened_ns,
        sk: [0; INDEX_WAYS],
    };
    fresh.sk[0] = socket.sk;
    if PORT_INDEX.insert(&key, &fresh, 0).is_err() {
        emit::count(Counter::IndexFull);
    }
}

/// True if the socket is no longer one that is bound to the port without a connection.
#[inline(always)]
fn is_stale(sk: u64, port: u16) -> bool {
    if sk == 0 {
        return true;
    }
    let now: u8 = read(sk, offset!(skc_state));
    read::<u16>(sk, offset!(skc_num)) != port || (now != state::LISTEN && now != state::CLOSE)
}
