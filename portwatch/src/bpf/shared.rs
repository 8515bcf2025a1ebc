//! An array map that lies in our memory, too.
//!
//! To read or write a map by system call would cost attempts: meanwhile the kernel runs no program of a tracepoint on
//! that CPU (`bpf_disable_instrumentation()`), and if the caller is preempted in it, every bind there goes unseen.

use std::{
    io,
    num::NonZeroUsize,
    os::fd::AsFd,
    ptr::NonNull,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use aya::maps::{Map, MapData};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use super::error::BpfError;

/// The map's values, as eight bytes each: the kernel rounds the size of a value up to that (`kernel/bpf/arraymap.c`).
#[derive(Debug)]
pub struct Shared {
    values: NonNull<AtomicU64>,
    len: usize,
}

// SAFETY: the memory is shared with the kernel anyway, and only accessed through atomics.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// Maps an array of `len` times eight bytes that was created with `BPF_F_MMAPABLE`.
    ///
    /// # Errors
    ///
    /// If it is another kind of map, or the kernel refuses.
    pub fn new(map: &Map, len: usize) -> Result<Self, BpfError> {
        let fail = |source: io::Error| BpfError::kernel("mapping a map into memory", &source);
        let Map::Array(data) = map else {
            return Err(fail(io::Error::other("it is no array")));
        };
        let data: &MapData = data;
        let bytes = NonZeroUsize::new(len * size_of::<u64>())
            .ok_or_else(|| fail(io::Error::other("it is empty")))?;
        // SAFETY: a new mapping at an address of the kernel's choice; it keeps the map alive.
        let values = unsafe {
            mmap(
                None,
                bytes,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_SHARED,
                data.fd().as_fd(),
                0,
            )
        };
        let values = values.map_err(|errno| fail(errno.into()))?.cast();
        Ok(Self { values, len })
    }

    /// A value of eight bytes.
    ///
    /// # Panics
    ///
    /// If the array is not that long.
    #[must_use]
    pub fn load(&self, index: usize) -> u64 {
        assert!(index < self.len, "index {index} of {}", self.len);
        // SAFETY: within the mapping, which is page aligned.
        unsafe { self.values.add(index).as_ref() }.load(Ordering::Relaxed)
    }

    /// Sets a value of eight bytes, or eight bytes of a larger one.
    ///
    /// # Panics
    ///
    /// If the array is not that long.
    pub fn store(&self, index: usize, value: u64) {
        assert!(index < self.len, "index {index} of {}", self.len);
        // SAFETY: within the mapping, which is page aligned.
        unsafe { self.values.add(index).as_ref() }.store(value, Ordering::SeqCst);
    }

    /// Sets a value of four bytes.
    ///
    /// # Panics
    ///
    /// If the array is not that long.
    pub fn store_u32(&self, index: usize, value: u32) {
        assert!(index < self.len, "index {index} of {}", self.len);
        // SAFETY: within the mapping; a value of four bytes is the first half of its place.
        let place = unsafe { self.values.add(index).cast::<AtomicU32>().as_ref() };
        place.store(value, Ordering::SeqCst);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: our own mapping, to which nothing refers any more. Where unmapping fails it stays until we exit.
        let _ = unsafe { munmap(self.values.cast(), self.len * size_of::<u64>()) };
    }
}
