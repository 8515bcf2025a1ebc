//! Sockets that were open when tracing began, by inode. What got its port later is recorded in the kernel.

use core::num::NonZeroUsize;

use lru::LruCache;

use super::processes::Key;

/// Sockets that are remembered.
pub const CAPACITY: usize = 65_536;

/// Who had a socket open when tracing began.
#[derive(Debug)]
pub struct Sockets {
    owners: LruCache<u64, Key>,
    evicted: u64,
}

impl Default for Sockets {
    fn default() -> Self {
        let capacity = NonZeroUsize::new(CAPACITY).unwrap_or(NonZeroUsize::MIN);
        Self {
            owners: LruCache::new(capacity),
            evicted: 0,
        }
    }
}

impl Sockets {
    /// A process had the socket open.
    pub fn insert(&mut self, inode: u64, owner: Key) {
        if let Some((old, _)) = self.owners.push(inode, owner)
            && old != inode
        {
            self.evicted += 1;
        }
    }

    /// Who had the socket open.
    pub fn get(&mut self, inode: u64) -> Option<Key> {
        self.owners.get(&inode).copied()
    }

    /// How many were dropped for room.
    #[must_use]
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }
}
