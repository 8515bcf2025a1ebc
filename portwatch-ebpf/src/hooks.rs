//! The programs, one subject a file.

pub mod attempt;
pub mod connection;
pub mod holder;
pub mod inflight;
pub mod io_uring;
pub mod process;
