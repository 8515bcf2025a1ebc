//! The kernel side, from user space: the object, its hooks, its records and its counters.

pub mod attach;
pub mod counters;
#[cfg(feature = "debug-log")]
pub mod debug_log;
pub mod error;
pub mod holders;
pub mod iterators;
pub mod kfunc;
pub mod load;
pub mod plan;
pub mod privileges;
pub mod recheck;
pub mod ring;
pub mod shared;
pub mod tracefs;
