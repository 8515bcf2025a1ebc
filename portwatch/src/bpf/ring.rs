//! The ring buffer's reader: it only copies, so that the kernel always finds room.
//!
//! Chunks come from a fixed pool. When the other side is slow and the pool is empty, records wait in the ring; when that
//! is full, the kernel counts what it drops. So memory is bounded and no loss is silent.

use aya::{
    Ebpf,
    maps::{MapData, RingBuf},
};
use tokio::io::{Interest, unix::AsyncFd};

use super::{counters::missing, error::BpfError};

/// Bytes of one chunk.
pub const CHUNK_BYTES: usize = 256 * 1024;
/// Chunks in the pool.
pub const CHUNKS: usize = 16;

/// Reads the ring buffer.
pub struct Reader {
    ring: AsyncFd<RingBuf<MapData>>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl Reader {
    /// Takes the ring buffer's map. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// If the object has no such map, or it cannot be polled.
    pub fn new(ebpf: &mut Ebpf) -> Result<Self, BpfError> {
        let map = ebpf.take_map("EVENTS").ok_or_else(|| missing("EVENTS"))?;
        let ring = RingBuf::try_from(map)
            .map_err(|error| BpfError::kernel("opening the ring buffer", &error))?;
        // SAFETY: the ring buffer owns its descriptor, and nothing closes or replaces it while it is registered.
        let ring = unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) }
            .map_err(|error| BpfError::kernel("polling the ring buffer", &error))?;
        Ok(Self { ring })
    }

    /// Waits until there may be records.
    ///
    /// # Errors
    ///
    /// If the runtime ends.
    pub async fn ready(&mut self) -> std::io::Result<()> {
        self.ring.readable_mut().await?.clear_ready();
        Ok(())
    }

    /// Copies records into `chunk` while they fit. True when none was left.
    pub fn drain(&mut self, chunk: &mut Vec<u8>) -> bool {
        let ring = self.ring.get_mut();
        loop {
            // The largest record is far smaller than a chunk; stopping early keeps this free of a put-back.
            if chunk.len() + LARGEST > chunk.capacity() {
                return false;
            }
            match ring.next() {
                Some(record) if record.len() <= LARGEST => chunk.extend_from_slice(&record),
                // Not one of ours; decoding would only fail on it.
                Some(_) => {}
                None => return true,
            }
        }
    }
}

/// Size of the largest record.
const LARGEST: usize = size_of::<portwatch_common::event::attempt::Conflict>();
