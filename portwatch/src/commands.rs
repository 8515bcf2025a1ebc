//! What each command does.

pub mod doctor;
pub mod explain;
pub mod generate;
pub mod replay;
pub mod report;
pub mod trace;
