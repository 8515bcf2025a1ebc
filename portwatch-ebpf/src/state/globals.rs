//! What the loader writes into `.rodata` before it loads the object.
//!
//! The map is frozen, so the verifier knows each value as a constant and removes what it switches off.

use portwatch_common::{ABI_VERSION, config::Config, offsets::Offsets};

/// The loader insists on this name ([`portwatch_common::ABI_SYMBOL`]) before it loads anything.
#[unsafe(no_mangle)]
pub static PORTWATCH_ABI_3: u32 = ABI_VERSION;

/// Where this kernel keeps things.
#[unsafe(no_mangle)]
pub static OFFSETS: Offsets = Offsets::UNKNOWN;

/// Filters and switches.
#[unsafe(no_mangle)]
pub static CONFIG: Config = Config::NONE;

/// An offset of this kernel.
macro_rules! offset {
    ($name:ident) => {{
        // SAFETY: a valid static. Volatile, because the compiler sees only the value that the loader replaces.
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

/// True if this kernel has the member.
macro_rules! has {
    ($name:ident) => {
        $crate::state::globals::offset!($name) != portwatch_common::offsets::ABSENT
    };
}

pub(crate) use {config, has, offset};
