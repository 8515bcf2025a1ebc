//! Scenarios that make every cause happen with real sockets, and what portwatch must say of them.
//!
//! - [`lab`]: the scenarios and their vocabulary. A scenario is a short script that commands processes.
//! - [`expect`]: what a scenario knows to be true, and portwatch's records compared with it.
//! - [`harness`]: portwatch under test.
//! - [`load`]: noise: very many binds, processes, connections, plays at once.
//! - [`rule`]: the rule against the kernel.
//! - [`made_up`]: logs of any length, for the commands that read them.
//! - [`programs`]: real programs, a Docker daemon, a browser.
//! - [`guest`]: the first process of a guest of `cargo xtask vm`.
//!
//! All but [`programs`] is native code without external programs, so that it also runs where there is nothing but a kernel.

#![expect(
    clippy::missing_errors_doc,
    reason = "they all fail alike: when the kernel or portwatch does not do what the script says"
)]

pub mod expect;
pub mod guest;
pub mod harness;
pub mod lab;
pub mod load;
pub mod made_up;
pub mod programs;
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "what a kernel does differently is looked up, not copied, and may grow"
)]
pub mod rule;
