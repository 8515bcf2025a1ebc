//! Judges a failure: who was in the way, by which clause of the kernel's rule, and what would have worked.
//!
//! Pure: facts come in with the attempt, nothing else is looked up. So a recorded attempt can be judged again.
//!
//! `stage` says which part of the kernel refused, and `policy` and `refused` judge what no other socket has a part in.
//!
//! [`rule`] is the kernel's predicate. A `Case` lays the attempt and its blockers out for it, `primary` chooses the
//! blocker to act on, `cause` names what happened, `remedy` asks the rule what would have changed the answer, and
//! `wording` says it.

#![expect(
    clippy::similar_names,
    reason = "a case and its cause are the two words for what is judged here"
)]

mod case;
mod cause;
mod identity;
mod inherited;
mod kept;
mod kind;
mod name;
mod policy;
mod primary;
mod program;
mod reach;
mod recheck;
mod refused;
mod remedy;
pub mod rule;
mod same_service;
mod stage;
pub(crate) mod stand_in;
#[cfg(test)]
pub(crate) mod testing;
mod unix;
mod wording;

pub use case::overlaps;
pub use cause::judge;
pub use identity::Identity;
pub use recheck::{Difference, recheck};
