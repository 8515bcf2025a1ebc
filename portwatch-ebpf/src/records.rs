//! Records for user space: each is put together here and handed to the ring buffer through [`emit`].

pub mod attempt;
pub mod emit;
pub mod filter;
pub mod port;
pub mod process;
pub mod time_wait;
