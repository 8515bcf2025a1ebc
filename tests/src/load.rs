//! Noise: what portwatch must stand, or tell the truth in the midst of.
//!
//! - [`binds`]: very many binds of one process.
//! - [`crowd`]: very many processes and connections.
//! - [`churn`]: holders of one port that live for less than a millisecond.
//! - [`plays`]: very many plays of the scenarios at once.

pub mod binds;
pub mod churn;
pub mod crowd;
pub mod plays;
