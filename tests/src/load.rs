//! Noise: what portwatch must stand, or tell the truth in the midst of.

pub mod binds;
pub mod churn;
pub mod crowd;
pub mod plays;
