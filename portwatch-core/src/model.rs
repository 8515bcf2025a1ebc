//! The words portwatch speaks: what is recorded, judged and printed.
//!
//! These types are the JSON records of `docs/records.md`, field by field and in that order. Absent knowledge is `None`
//! (JSON `null`), never a made-up value. They hold no kernel layouts (`portwatch-common` does) and do no I/O.

pub mod attempt;
pub mod episode;
pub mod freed;
pub mod inheritance;
pub mod keeper;
pub mod number;
pub mod port;
pub mod process;
pub mod proxy;
pub mod record;
pub mod socket;
pub mod time_wait;
pub mod unix;
pub mod verdict;
