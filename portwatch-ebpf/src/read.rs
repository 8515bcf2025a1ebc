//! Reading the kernel's memory.

use aya_ebpf::{EbpfContext, helpers::bpf_probe_read_kernel};
use portwatch_common::offsets::ABSENT;

/// Reads a value at `base + offset`; the default where nothing can be read (a null base, a member that is absent).
#[inline(always)]
pub fn read<T: Default + Copy>(base: u64, offset: u32) -> T {
    if base == 0 || offset == ABSENT {
        return T::default();
    }
    // SAFETY: the helper cannot fault; a bad address is an error.
    unsafe { bpf_probe_read_kernel((base + u64::from(offset)) as *const T) }.unwrap_or_default()
}

/// Reads a value at an address, without a look at it: where a condition more would be one too many for the verifier.
#[inline(always)]
pub fn peek<T: Default + Copy>(address: u64) -> T {
    // SAFETY: as above.
    unsafe { bpf_probe_read_kernel(address as *const T) }.unwrap_or_default()
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

/// An argument of a function or BTF tracepoint as a plain number: the verifier allows no arithmetic on a typed pointer.
#[inline(always)]
pub fn launder(ctx: &impl EbpfContext, n: u32) -> u64 {
    read(ctx.as_ptr() as u64, n * 8)
}
