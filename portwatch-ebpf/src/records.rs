//! What user space is sent: records are put together here and handed over.

pub mod attempt;
pub mod emit;
pub mod filter;
pub mod port;
pub mod process;
pub mod time_wait;
