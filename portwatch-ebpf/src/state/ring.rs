//! The ring buffer that user space reads.

use aya_ebpf::{
    macros::map,
    maps::{Array, RingBuf},
};

/// Records for user space. The loader sets the size.
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(256 * 1024, 0);

/// Where in [`EVENTS`] the record lies that its reader was last woken for: one behind its beginning.
#[map]
pub static WOKEN: Array<u64> = Array::with_max_entries(1, 0);
