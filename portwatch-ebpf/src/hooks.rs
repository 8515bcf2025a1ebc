//! The programs, one subject a file.

pub mod conflicts;
pub mod connections;
pub mod debug_log;
pub mod holders;
pub mod io_uring;
pub mod iterators;
pub mod lineage;
pub mod messages;
pub mod ports;
pub mod processes;
pub mod recheck;
pub mod signals;
pub mod stages;
pub mod syscalls;
pub mod time_waits;
pub mod unix_names;
pub mod waiters;
