//! The ring buffer that user space reads.

use aya_ebpf::{
    macros::map,
    maps::{Array, RingBuf},
};

/// Records for user space. The loader sets the size.
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(256 * 1024, 0);

/// Which record the reader of [`EVENTS`] was last woken for.
#[map]
pub static WOKEN: Array<u64> = Array::with_max_entries(1, 0);
