//! What each command does.

pub mod doctor;
pub mod trace;
