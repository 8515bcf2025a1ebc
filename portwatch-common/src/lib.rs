//! What the eBPF object and the user-space loader say to each other.
//!
//! Everything here is `repr(C)`, made of integers, and free of padding (zerocopy's `IntoBytes` proves it), so that no
//! byte of kernel memory leaks and a record can be read in place. The two sides may come from different builds
//! (`--bpf-object`): [`ABI_VERSION`] is compared before anything else is believed.

#![no_std]

pub mod config;
pub mod counters;
pub mod endpoint;
pub mod event;
pub mod kfunc;
pub mod maps;
pub mod offsets;

/// Raised whenever a layout or a meaning in this crate changes.
pub const ABI_VERSION: u32 = 3;

/// Name of the variable in which the object carries [`ABI_VERSION`]. The version is part of the name: the loader
/// cannot read an object's variables, but it can insist that one exists.
pub const ABI_SYMBOL: &str = "PORTWATCH_ABI_3";
