//! What is kept between two runs of a program.

pub mod calls;
pub mod counters;
pub mod globals;
pub mod index;
pub mod owners;
pub mod ports;
pub mod processes;
pub mod queries;
pub mod refusals;
pub mod reuse;
pub mod ring;
pub mod work;
