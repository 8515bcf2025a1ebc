//! Questions of user space to the iterators.
//!
//! All of these lie in memory that user space maps. Writing them by system call would make the kernel skip tracepoint
//! programs on that CPU meanwhile (`bpf_disable_instrumentation()`).

use aya_ebpf::{bindings::BPF_F_MMAPABLE, macros::map, maps::Array};
use portwatch_common::{
    event::time_wait::Recheck,
    maps::{RECHECKS, query},
};

/// `TIME_WAIT`s for the `recheck` iterator.
#[map]
static RECHECK: Array<Recheck> = Array::with_max_entries(RECHECKS as u32, BPF_F_MMAPABLE);

/// The port for `holders` and `messages`; 0 for every port.
#[map]
static HOLDER_PORT: Array<u32> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// For the other iterators: [`query`].
#[map]
static QUERY: Array<u64> = Array::with_max_entries(query::LEN as u32, BPF_F_MMAPABLE);

/// A `TIME_WAIT` to look up, by its place.
#[inline(always)]
pub fn recheck(place: u32) -> Option<&'static Recheck> {
    RECHECK.get(place)
}

/// The port that user space wants holders of; 0 for every port.
#[inline(always)]
pub fn holder_port() -> u32 {
    HOLDER_PORT.get(0).copied().unwrap_or_default()
}

/// The question at a place of [`query`].
#[inline(always)]
pub fn asked(place: usize) -> u64 {
    QUERY.get(place as u32).copied().unwrap_or_default()
}
