//! Keepers without a descriptor: sockets in messages that nobody has received (`SCM_RIGHTS`).
//!
//! `iter/task_file` shows the descriptors of processes; a descriptor in a message is in no table. So for each unix
//! socket this looks through the queue. The queue of a listener holds connections that wait for `accept()`, each of
//! which may have messages already.

use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;
use portwatch_common::{endpoint::AF_UNIX, event::socket::state};

use crate::{
    hooks::{
        holders,
        iterators::{self, FD, FILE, TASK, TaskFile},
    },
    kernel::{descriptor, read::read, task},
    state::{
        globals::{has, offset},
        work::Search,
    },
};

/// Most steps in one queue: a packet or a file each. Senders can fill a queue, and the reader waits.
const STEPS: u32 = 512;

/// Answers of a step.
const END: u32 = 0;
const GO_ON: u32 = 1;
const FOUND: u32 = 2;

/// `PIDTYPE_TGID` of `include/linux/pid_types.h`, as an offset into an array of list heads.
const TGID: u32 = 8;

/// Writes a row for each socket in a message.
#[unsafe(link_section = "iter/task_file")]
#[unsafe(no_mangle)]
pub extern "C" fn messages(ctx: *mut TaskFile) -> i32 {
    // SAFETY: the kernel's context, which always has `meta`.
    let seq = unsafe { (*(*ctx).meta).seq };
    let base = ctx as u64;
    let thread: u64 = read(base, TASK);
    let file: u64 = read(base, FILE);
    if thread == 0 || file == 0 || !has!(sk_receive_queue) || !has!(skb_cb) {
        return 0;
    }
    let sk = descriptor::from_file(file).sk;
    if sk == 0 || read::<u16>(sk, offset!(skc_family)) != AF_UNIX {
        return 0;
    }
    let head = sk + u64::from(offset!(sk_receive_queue));
    let first: u64 = read(head, 0);
    // The head of an empty queue points to itself.
    if first == head {
        return 0;
    }
    // In a block, so that no reference lives while the steps write to it.
    {
        let Some(search) = Search::current() else {
            return 0;
        };
        // SAFETY: a map value that only this CPU's iterator uses.
        let search = unsafe { &mut *search };
        search.head = head;
        search.skb = first;
        search.files = 0;
        search.outer_head = 0;
        search.outer_skb = 0;
        search.index = 0;
        search.count = 0;
        search.listening = u64::from(read::<u8>(sk, offset!(skc_state)) == state::LISTEN);
        let holder = &mut search.row.holder;
        holder.fd = read(base, FD);
        holder.tgid = read(thread, offset!(task_tgid));
        let leader = task::leader(thread);
        holder.start_boot_ns = task::start_boot_ns(leader);
        holder.comm = task::comm(leader);
    }
    for _ in 0..STEPS {
        let came = message_step();
        if came == END {
            return 0;
        }
        if came == FOUND {
            let Some(search) = Search::current() else {
                return 0;
            };
            // SAFETY: the context's file, and a whole row within a map value.
            unsafe { iterators::write(seq, &raw const (*search).row) };
        }
    }
    0
}

/// Looks at the next file, or takes the next packet. A function of its own, which the verifier looks at once.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn message_step() -> u32 {
    let Some(search) = Search::current() else {
        return END;
    };
    // SAFETY: a map value that only this CPU's iterator uses.
    let search = unsafe { &mut *search };
    if search.index < search.count {
        // At most `count` of them, which the kernel limits to `SCM_MAX_FD`; a wrong one costs a step each.
        let place = search.files + u64::from(offset!(files_array)) + u64::from(search.index) * 8;
        search.index += 1;
        let sk = descriptor::from_file(read(place, 0)).sk;
        if sk != 0 && holders::describe(sk, &mut search.row.holder.socket) {
            // SAFETY: the helper has no conditions.
            search.row.holder.boot_ns = unsafe { bpf_ktime_get_boot_ns() };
            return FOUND;
        }
        return GO_ON;
    }
    let skb = search.skb;
    if skb == 0 || skb == search.head {
        if search.outer_head == 0 {
            return END;
        }
        search.head = search.outer_head;
        search.skb = search.outer_skb;
        search.outer_head = 0;
        return GO_ON;
    }
    // The next packet before this one's files: a receiver may take it away meanwhile, and then the search ends early.
    search.skb = read(skb, offset!(skb_next));
    if search.listening != 0 && search.outer_head == 0 {
        // In a listener's queue a packet is a connection: its `sk` is the new socket.
        let waiting: u64 = read(skb, offset!(skb_sk));
        if waiting != 0 {
            search.outer_head = search.head;
            search.outer_skb = search.skb;
            search.head = waiting + u64::from(offset!(sk_receive_queue));
            search.skb = read(search.head, 0);
        }
        return GO_ON;
    }
    let parms = skb + u64::from(offset!(skb_cb));
    search.files = read(parms, offset!(unix_skb_files));
    search.index = 0;
    search.count = u32::from(read::<u16>(search.files, offset!(files_count)));
    search.row.sender = sender(read(parms, offset!(unix_skb_pid)));
    search.row.unaccepted = u32::from(search.outer_head != 0);
    GO_ON
}

/// Process id of a `struct pid`; 0 if its process has ended, because the number may be another process's by now.
#[inline(always)]
fn sender(pid: u64) -> u32 {
    if !has!(pid_tasks) || !has!(pid_numbers) || pid == 0 {
        return 0;
    }
    if read::<u64>(pid, offset!(pid_tasks) + TGID) == 0 {
        return 0;
    }
    read(pid, offset!(pid_numbers))
}
