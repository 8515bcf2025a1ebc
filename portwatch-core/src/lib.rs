//! portwatch's core: the kernel's facts come in, records with verdicts go out.
//!
//! Pure, and `no_std` so that the compiler keeps it so: no files, no sockets, no clock, no `/proc`, no threads. What has
//! to be looked up is asked of [`assemble::Surroundings`]. So a recorded attempt can be judged again, and nearly all of it
//! is tested without root and without BPF.
//!
//! [`decode`] reads the kernel side's records, [`assemble`] joins them with what [`memory`] keeps, [`verdict`] says why a
//! call failed. [`model`] holds the records' types, [`words`] what every text needs.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod assemble;
pub mod clock;
pub mod decode;
pub mod memory;
pub mod model;
mod prelude;
#[cfg(any(test, feature = "samples"))]
pub mod samples;
pub mod verdict;
pub mod words;
