//! What is kept between two runs of a program.

pub mod calls;
pub mod globals;
pub mod index;
pub mod maps;
pub mod owners;
