//! Who has a socket open: `iter/task_file`, over every descriptor of every process.
//!
//! aya-ebpf has no macro for iterators, so the section is named by hand. The context's pointers are laundered through a
//! probe read: the verifier allows no arithmetic on typed pointers.

use aya_ebpf::helpers::generated::{bpf_ktime_get_boot_ns, bpf_seq_write};
use portwatch_common::event::{holder::Holder, socket::Socket};

use crate::{
    kernel::{
        read::read,
        sock::{self, Common},
        task,
    },
    state::{
        globals::offset,
        maps::{Context, HOLDER_PORT, WORK},
    },
};

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

/// `struct bpf_iter_meta` of `include/linux/bpf.h`.
#[repr(C)]
pub struct Meta {
    pub seq: *mut core::ffi::c_void,
    pub session_id: u64,
    pub seq_num: u64,
}

/// For each descriptor that is an IP socket with a port: a row.
#[unsafe(link_section = "iter/task_file")]
#[unsafe(no_mangle)]
pub extern "C" fn holders(ctx: *mut TaskFile) -> i32 {
    // SAFETY: the kernel's context; `meta` is always there.
    let seq = unsafe { (*(*ctx).meta).seq };
    let base = ctx as u64;
    let task: u64 = read(base, TASK);
    let file: u64 = read(base, FILE);
    if task == 0 || file == 0 {
        return 0;
    }
    let mut row = Holder::NONE;
    let sk = sock::from_file(file).sk;
    if sk == 0 || !describe(sk, &mut row.socket) {
        return 0;
    }
    // SAFETY: the helper has no conditions.
    row.boot_ns = unsafe { bpf_ktime_get_boot_ns() };
    row.fd = read(base, FD);
    row.tgid = read(task, offset!(task_tgid));
    let leader = task::leader(task);
    row.start_boot_ns = task::start_boot_ns(leader);
    row.comm = task::comm(leader);
    write(seq, &row);
    0
}

/// Fills in a socket that has the port that is looked for.
#[inline(always)]
pub fn describe(sk: u64, out: &mut Socket) -> bool {
    let Some(work) = WORK.get_ptr_mut(Context::Iterator as u32) else {
        return false;
    };
    // SAFETY: the buffer is a map value of that length, of which iterators have one of their own.
    let Some(common) = (unsafe { Common::copy(sk, (*work).common.as_mut_ptr()) }) else {
        return false;
    };
    if !common.is_inet() || common.port() == 0 {
        return false;
    }
    let wanted = HOLDER_PORT.get(0).copied().unwrap_or_default();
    if wanted != 0 && wanted != u32::from(common.port()) {
        return false;
    }
    sock::fill(sk, common, out);
    true
}

#[inline(always)]
fn write(seq: *mut core::ffi::c_void, row: &Holder) {
    // SAFETY: the iterator's own file, and a whole row. When the file's buffer is full the kernel calls again.
    let _ = unsafe {
        bpf_seq_write(
            seq.cast(),
            (&raw const *row).cast(),
            size_of::<Holder>() as u32,
        )
    };
}
