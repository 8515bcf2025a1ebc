//! Holders of names of the unix family: `iter/task_file`, over every descriptor of every process.
//!
//! `/proc/net/unix` has names without processes, and one namespace only.

use portwatch_common::{
    endpoint::AF_UNIX,
    event::unix::{UnixSocket, role},
    maps::query,
};

use crate::{
    hooks::iterators::{self, FD, FILE, TASK, TaskFile},
    kernel::{descriptor, read::read, task, unix},
    state::{globals::offset, queries},
};

/// Writes a row for each descriptor of a unix socket with an address, and one for the file that user space asks about.
#[unsafe(link_section = "iter/task_file")]
#[unsafe(no_mangle)]
pub extern "C" fn unix_sockets(ctx: *mut TaskFile) -> i32 {
    // SAFETY: the kernel's context, which always has `meta`.
    let seq = unsafe { (*(*ctx).meta).seq };
    let base = ctx as u64;
    let thread: u64 = read(base, TASK);
    let file: u64 = read(base, FILE);
    if thread == 0 || file == 0 {
        return 0;
    }
    let mut row = UnixSocket::NONE;
    row.fd = read(base, FD);
    row.tgid = read(thread, offset!(task_tgid));
    if is_asked(row.tgid, row.fd) {
        row.role = role::FILE;
        row.file = read(read(file, offset!(file_dentry)), offset!(dentry_inode));
    } else {
        let sk = descriptor::from_file(file).sk;
        if sk == 0
            || read::<u16>(sk, offset!(skc_family)) != AF_UNIX
            || !unix::describe(sk, &mut row)
        {
            return 0;
        }
        let leader = task::leader(thread);
        row.start_boot_ns = task::start_boot_ns(leader);
        row.comm = task::comm(leader);
    }
    // SAFETY: the context's file and a whole row.
    unsafe { iterators::write(seq, &raw const row) };
    0
}

/// True for the descriptor that the reader asks about, one of its own.
///
/// A path can lead to another file by now, and in another mount namespace. So user space opens the file, and compares
/// its inode in the kernel with the sockets'.
#[inline(always)]
fn is_asked(tgid: u32, fd: u32) -> bool {
    let asked = queries::asked(query::FD);
    asked != 0 && asked == u64::from(fd) + 1 && tgid == task::tgid()
}
