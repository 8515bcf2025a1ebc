//! Where the running kernel keeps what the hooks read.
//!
//! [`Btf`] reads the type description that the kernel carries with it (`/sys/kernel/btf/vmlinux`), [`resolve()`] asks it
//! every question of [`portwatch_common::offsets::FIELDS`]. Both are pure: the bytes are passed in, no byte of them is
//! believed, and no byte sequence makes them panic.

mod parse;
mod query;
mod resolve;

pub use parse::{Btf, BtfError};
pub use query::Member;
pub use resolve::{Problem, Reason, ResolveError, resolve};

#[cfg(test)]
mod builder;
#[cfg(test)]
mod tests;
