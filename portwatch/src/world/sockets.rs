//! Sockets that hold a port, by inode, and ports that have had a listener.

use std::num::NonZeroUsize;

use lru::LruCache;

use super::processes::Key;
use crate::model::process::Source;

/// Sockets that are remembered.
pub const SOCKETS: usize = 65_536;
/// Ports that are remembered to have had a listener.
pub const LISTENERS: usize = 16_384;

/// Who got a port on a socket, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The process.
    pub owner: Key,
    /// When (`CLOCK_BOOTTIME`, ns); `None` if that was before tracing.
    pub since_boot_ns: Option<u64>,
    /// How it is known.
    pub source: Source,
}

/// A port of a network namespace (its inode).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Port {
    /// Inode of the network namespace.
    pub netns: u32,
    /// The port.
    pub port: u16,
}

/// Sockets that were seen to get a port.
#[derive(Debug)]
pub struct Sockets {
    holdings: LruCache<u64, Holding>,
    listeners: LruCache<Port, ()>,
    evicted: u64,
}

impl Default for Sockets {
    fn default() -> Self {
        let size = |n| NonZeroUsize::new(n).unwrap_or(NonZeroUsize::MIN);
        Self {
            holdings: LruCache::new(size(SOCKETS)),
            listeners: LruCache::new(size(LISTENERS)),
            evicted: 0,
        }
    }
}

impl Sockets {
    /// A socket got its port. An inode is given to another socket only after this one is gone.
    pub fn insert(&mut self, inode: u64, holding: Holding) {
        if let Some((old, _)) = self.holdings.push(inode, holding)
            && old != inode
        {
            self.evicted += 1;
        }
    }

    /// Who got a port on the socket.
    pub fn get(&mut self, inode: u64) -> Option<Holding> {
        self.holdings.get(&inode).copied()
    }

    /// A listener was seen on the port.
    pub fn listened(&mut self, port: Port) {
        if let Some((old, ())) = self.listeners.push(port, ())
            && old != port
        {
            self.evicted += 1;
        }
    }

    /// True if a listener was seen on the port.
    pub fn has_listened(&mut self, port: Port) -> bool {
        self.listeners.get(&port).is_some()
    }

    /// How many were dropped for room.
    #[must_use]
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }
}
