//! Judges a failure: who blocked it, by which clause of the kernel's rule, and what would have worked.
//!
//! Pure: facts come in with the attempt, nothing else is looked up. So a recorded attempt can be judged again.
//!
//! A room for each question. [`rule`]: would the kernel refuse, and for which socket? `cause`: what happened? `remedy`:
//! what would have changed the answer? `who`: whose socket is it, and are two processes one service? `words`: how to say
//! it.

#![expect(
    clippy::similar_names,
    reason = "a case and its cause are the two words for what is judged here"
)]

mod cause;
mod recheck;
mod remedy;
pub mod rule;
#[cfg(any(test, feature = "samples"))]
pub mod testing;
pub(crate) mod who;
mod words;

pub use cause::judge;
pub use recheck::{Difference, recheck};
pub use rule::case::overlaps;
pub use who::identity::Identity;
