//! Offsets and switches, which the loader writes into `.rodata` before it loads the object.
//!
//! The loader freezes that map, so the verifier takes each value for a constant and removes the branches that it
//! switches off. A program may therefore call a helper that this kernel lacks, as long as `has!` guards the call.
//!
//! Offsets come from the running kernel's BTF. rustc emits no CO-RE relocations, and a version number would be wrong
//! for distributions that backport a layout.

use portwatch_common::{ABI_VERSION, config::Config, offsets::Offsets};

/// The loader insists on this name ([`portwatch_common::ABI_SYMBOL`]) before it loads anything.
#[unsafe(no_mangle)]
pub static PORTWATCH_ABI_3: u32 = ABI_VERSION;

/// Where the running kernel keeps each member.
#[unsafe(no_mangle)]
pub static OFFSETS: Offsets = Offsets::UNKNOWN;

/// The user's filters, and what the kernel's layout switches.
#[unsafe(no_mangle)]
pub static CONFIG: Config = Config::NONE;

/// The offset of a member in the running kernel.
macro_rules! offset {
    ($name:ident) => {{
        // SAFETY: a valid static. Volatile, because the compiler would build in the value that it sees, which the
        // loader replaces.
        unsafe { core::ptr::read_volatile(&raw const $crate::state::globals::OFFSETS.$name) }
    }};
}

/// A switch or filter.
macro_rules! config {
    ($name:ident) => {{
        // SAFETY: as for `offset!`.
        unsafe { core::ptr::read_volatile(&raw const $crate::state::globals::CONFIG.$name) }
    }};
}

/// True if the running kernel has the member, function or helper.
macro_rules! has {
    ($name:ident) => {
        $crate::state::globals::offset!($name) != portwatch_common::offsets::ABSENT
    };
}

pub(crate) use {config, has, offset};
