//! What each command does.

pub mod doctor;
pub mod explain;
pub mod trace;
