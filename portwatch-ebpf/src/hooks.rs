//! The programs, one subject a file.

pub mod attempt;
pub mod conflict;
pub mod connection;
pub mod holder;
pub mod in_flight;
pub mod inflight;
pub mod io_uring;
pub mod lineage;
pub mod port;
pub mod process;
pub mod recheck;
pub mod stages;
pub mod sys_socket;
pub mod syscalls;
pub mod time_wait;
pub mod unix;
pub mod waiter;
