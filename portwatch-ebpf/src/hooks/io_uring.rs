//! `IORING_OP_BIND` and `IORING_OP_LISTEN` (6.11).

pub mod functions;
pub mod requests;
