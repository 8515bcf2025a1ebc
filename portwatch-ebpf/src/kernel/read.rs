//! Reads of the kernel's memory.
//!
//! A read through a helper takes 6 to 10 ns with everything in the cache, and a bind takes some ten of them. So members
//! that lie side by side are read at once ([`Word`]), and typed pointers without a helper ([`typed`]).

use aya_ebpf::{EbpfContext, helpers::bpf_probe_read_kernel};
use portwatch_common::offsets::ABSENT;

/// Reads a value at `base + offset`. The default if it cannot be read: a null base, an absent member, a stale pointer.
///
/// So a chain of reads needs no checks in between: from the first that fails, all give 0.
#[inline(always)]
pub fn read<T: Default + Copy>(base: u64, offset: u32) -> T {
    if base == 0 || offset == ABSENT {
        return T::default();
    }
    // SAFETY: the helper cannot fault: a bad address is an error.
    unsafe { bpf_probe_read_kernel((base + u64::from(offset)) as *const T) }.unwrap_or_default()
}

/// Reads a value at an address without a check for null.
///
/// In a loop, each condition can double the paths that the verifier follows, and it gives up at a million instructions.
#[inline(always)]
pub fn peek<T: Default + Copy>(address: u64) -> T {
    // SAFETY: as above.
    unsafe { bpf_probe_read_kernel(address as *const T) }.unwrap_or_default()
}

/// Reads a member through a pointer whose type the verifier knows. It calls no helper, which is the larger part of a
/// read. If the member is a pointer, the verifier knows its type, too.
///
/// # Safety
///
/// The verifier knows the type of `base`, or `base` is 0.
#[inline(always)]
pub unsafe fn typed<T: Default + Copy>(base: u64, offset: u32) -> T {
    if base == 0 || offset == ABSENT {
        return T::default();
    }
    // SAFETY: the verifier turns it into a read that cannot fault. Volatile, so that the compiler neither splits nor
    // merges it.
    unsafe { ((base + u64::from(offset)) as *const T).read_volatile() }
}

/// Eight bytes of a struct, read at once. Members that lie side by side on most kernels cost one read; a member that
/// this kernel keeps elsewhere costs one of its own.
#[derive(Clone, Copy)]
pub struct Word {
    base: u64,
    at: u32,
    bytes: u64,
}

impl Word {
    /// The eight bytes that a member lies in.
    #[inline(always)]
    pub fn around(base: u64, offset: u32) -> Self {
        let at = offset & !7;
        Self {
            base,
            at,
            // Aligned: members of up to eight bytes never cross such a boundary.
            bytes: read(base, at),
        }
    }

    /// The bytes from a member on, if `size` of them are here.
    #[inline(always)]
    fn beginning_at(self, offset: u32, size: u32) -> Option<u64> {
        let skipped = offset.wrapping_sub(self.at);
        (skipped <= 8 - size).then(|| self.bytes >> (skipped * 8))
    }

    /// A member of one byte.
    #[inline(always)]
    pub fn u8(self, offset: u32) -> u8 {
        match self.beginning_at(offset, 1) {
            Some(bytes) => bytes as u8,
            None => read(self.base, offset),
        }
    }

    /// A member of two bytes.
    #[inline(always)]
    pub fn u16(self, offset: u32) -> u16 {
        match self.beginning_at(offset, 2) {
            Some(bytes) => bytes as u16,
            None => read(self.base, offset),
        }
    }

    /// A member of four bytes.
    #[inline(always)]
    pub fn u32(self, offset: u32) -> u32 {
        match self.beginning_at(offset, 4) {
            Some(bytes) => bytes as u32,
            None => read(self.base, offset),
        }
    }

    /// A bit-field, as [`bits`] reads it.
    #[inline(always)]
    pub fn bits(self, field: u32) -> u8 {
        if field == ABSENT {
            return 0;
        }
        extract(self.u8(field & 0xffff), field)
    }
}

/// Reads a bit-field in the encoding of [`portwatch_common::offsets::Query::Bits`].
#[inline(always)]
pub fn bits(base: u64, field: u32) -> u8 {
    if field == ABSENT {
        return 0;
    }
    extract(read::<u8>(base, field & 0xffff), field)
}

/// The bits of a field within its byte.
#[inline(always)]
pub fn extract(byte: u8, field: u32) -> u8 {
    let width = field >> 24;
    let shift = (field >> 16) & 7;
    (byte >> shift) & (((1u32 << (width & 15)) - 1) as u8)
}

/// An argument of a function or BTF tracepoint as a plain number.
///
/// The verifier knows the type of such an argument. It allows no arithmetic on it, and does not let it pass as a number
/// to a global function. A probe read of the context gives the same bits without a type.
#[inline(always)]
pub fn launder(ctx: &impl EbpfContext, n: u32) -> u64 {
    read(ctx.as_ptr() as u64, n * 8)
}
