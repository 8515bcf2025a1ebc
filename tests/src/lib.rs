//! Scenarios that make every cause happen with real sockets, and what portwatch must say of them.
//!
//! A scenario is a short script over processes that do as they are told: [`lab`] is the script's vocabulary, [`agent`]
//! the process at the other end, [`protocol`] what they say to each other. What the script knows goes into a
//! [`truth::Truth`]. [`harness`] runs portwatch, [`check`] compares its records with the truth. All of it is native
//! code without external programs, so that it also runs where there is nothing but a kernel.

#![expect(
    clippy::missing_errors_doc,
    reason = "they all fail alike: when the kernel or portwatch does not do what the script says"
)]

pub mod agent;
pub mod bench;
pub mod browser;
pub mod check;
pub mod churn;
pub mod crowd;
pub mod docker;
pub mod guest;
pub mod harness;
pub mod lab;
pub mod load;
pub mod ports;
pub mod programs;
pub mod protocol;
pub mod recording;
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "what a kernel does differently is looked up, not copied, and may grow"
)]
pub mod rule;
pub mod scenario;
pub mod story;
pub mod stress;
pub mod truth;
mod uring;
pub mod verify;
