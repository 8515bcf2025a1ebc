//! Keepers without a descriptor: threads that wait for a socket in a call or in `io_uring`.
//!
//! A call under way keeps its file open, whatever becomes of the descriptor. The socket has a queue of waiters, and
//! each kind of waiter leads to its thread in another way. So `iter/task` shows every thread, and this compares.

use portwatch_common::{
    event::keeper::{Waiter, how},
    maps::query,
};

use crate::{
    hooks::iterators::{self, Meta},
    kernel::{read::read, task},
    state::{
        globals::{has, offset},
        queries,
    },
};

/// Most waiters: a loop for which the verifier needs an end.
const WAITERS: u32 = 64;
/// Low bits of a pointer to a request, in which `io_uring` keeps notes (`io_uring/poll.c`).
const NOTES: u64 = 3;

/// `struct bpf_iter__task` of `kernel/bpf/task_iter.c`; every member takes eight bytes.
#[repr(C)]
pub struct Task {
    meta: *const Meta,
    task: u64,
}

/// Writes a row for each thread that waits for the socket.
#[unsafe(link_section = "iter/task")]
#[unsafe(no_mangle)]
pub extern "C" fn waiters(ctx: *mut Task) -> i32 {
    // SAFETY: the kernel's context, which always has `meta`.
    let seq = unsafe { (*(*ctx).meta).seq };
    let thread: u64 = read(ctx as u64, 8);
    if thread == 0 || !has!(sk_wq) || !has!(socket_wq_head) || !has!(waiter_entry) {
        return 0;
    }
    let sk = queries::asked(query::SK);
    let wanted = queries::asked(query::INODE);
    let socket: u64 = read(sk, offset!(sk_socket));
    let file: u64 = read(socket, offset!(socket_file));
    // The address may be another socket's by now. The inode number is the proof.
    if file == 0 || inode(socket) != wanted {
        return 0;
    }
    let head = read::<u64>(sk, offset!(sk_wq)) + u64::from(offset!(socket_wq_head));
    let mut entry: u64 = read(head, 0);
    for _ in 0..WAITERS {
        if entry == 0 || entry == head {
            return 0;
        }
        let private = read(
            entry - u64::from(offset!(waiter_entry)),
            offset!(waiter_private),
        );
        let how = relation(private, thread, file);
        if how != 0 {
            let leader = task::leader(thread);
            let row = Waiter {
                start_boot_ns: task::start_boot_ns(leader),
                tgid: read(thread, offset!(task_tgid)),
                tid: read(thread, offset!(task_pid)),
                how,
                reserved: 0,
                comm: task::comm(leader),
            };
            // SAFETY: the context's file and a whole row.
            unsafe { iterators::write(seq, &raw const row) };
            return 0;
        }
        entry = read(entry, 0);
    }
    0
}

/// Inode of a `struct socket`.
#[inline(always)]
fn inode(socket: u64) -> u64 {
    let inode = socket - u64::from(offset!(alloc_socket)) + u64::from(offset!(alloc_inode));
    read(inode, offset!(i_ino))
}

/// How a waiter belongs to a thread; 0 if it does not.
///
/// `private` points to a different type for each kind of waiter, and nothing tells which. So each kind is tried, and
/// counts only if it leads to the thread, or to the file.
#[inline(always)]
fn relation(private: u64, thread: u64, file: u64) -> u32 {
    if private == 0 {
        return 0;
    }
    if private == thread {
        return how::CALL;
    }
    if read::<u64>(private, offset!(poll_task)) == thread {
        return how::POLL;
    }
    let request = private & !NOTES;
    if read::<u64>(request, offset!(req_file)) != file {
        return 0;
    }
    let its_task: u64 = if has!(req_task) {
        read(request, offset!(req_task))
    } else {
        read(read(request, offset!(req_tctx)), offset!(tctx_task))
    };
    if its_task == thread { how::IO_URING } else { 0 }
}
