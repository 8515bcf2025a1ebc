//! Contexts of the kernel's iterators, and the file that their programs write to.
//!
//! aya-ebpf has no macro for iterators, so their sections are named by hand. The context's pointers are laundered
//! through a probe read: the verifier allows no arithmetic on typed pointers.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_seq_write;

/// `struct bpf_iter_meta` of `include/linux/bpf.h`.
#[repr(C)]
pub struct Meta {
    pub seq: *mut c_void,
    pub session_id: u64,
    pub seq_num: u64,
}

/// `struct bpf_iter__task_file` of `kernel/bpf/task_iter.c`; every member takes eight bytes.
#[repr(C)]
pub struct TaskFile {
    pub meta: *const Meta,
    task: u64,
    fd: u64,
    file: u64,
}

/// Where the members of [`TaskFile`] are.
pub const TASK: u32 = 8;
pub const FD: u32 = 16;
pub const FILE: u32 = 24;

/// Writes a row to an iterator's own file.
///
/// The result is of no interest: if the file's buffer is full, the kernel calls the program again for the same object.
///
/// # Safety
///
/// `seq` is that of the program's context, and `row` is whole.
#[inline(always)]
pub unsafe fn write<Row>(seq: *mut c_void, row: *const Row) {
    // SAFETY: the caller's promise.
    let _ = unsafe { bpf_seq_write(seq.cast(), row.cast_mut().cast(), size_of::<Row>() as u32) };
}
