//! `IORING_OP_BIND` and `IORING_OP_LISTEN` (6.11), for which no system call's tracepoint fires.
//!
//! A request can run in the submitter, or in a worker thread that is called `iou-wrk-PID`. Either way its process is
//! the right one.

pub mod functions;
pub mod requests;
