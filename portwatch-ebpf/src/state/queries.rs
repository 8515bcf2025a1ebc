//! What user space asks the iterators.

use aya_ebpf::{bindings::BPF_F_MMAPABLE, macros::map, maps::Array};
use portwatch_common::{
    event::time_wait::Recheck,
    maps::{RECHECKS, query},
};

/// `TIME_WAIT`s that the `recheck` iterator looks up.
#[map]
static RECHECK: Array<Recheck> = Array::with_max_entries(RECHECKS as u32, BPF_F_MMAPABLE);

/// The port that the `iter/task_file` program looks for; 0 for every port.
#[map]
static HOLDER_PORT: Array<u32> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// What the other iterators look for: [`query`].
#[map]
static QUERY: Array<u64> = Array::with_max_entries(query::LEN as u32, BPF_F_MMAPABLE);

/// A `TIME_WAIT` to look up, by its place.
#[inline(always)]
pub fn recheck(place: u32) -> Option<&'static Recheck> {
    RECHECK.get(place)
}

/// The port whose holders are wanted; 0 for every port.
#[inline(always)]
pub fn holder_port() -> u32 {
    HOLDER_PORT.get(0).copied().unwrap_or_default()
}

/// What is asked at a place of [`query`].
#[inline(always)]
pub fn asked(place: usize) -> u64 {
    QUERY.get(place as u32).copied().unwrap_or_default()
}
