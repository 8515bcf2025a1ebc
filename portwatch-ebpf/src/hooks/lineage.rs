//! Forks: a process that inherits a socket did not bind it, and its parents lead to the owner.
//!
//! At tp_btf `sched_process_fork`, which has both tasks.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use portwatch_common::event::{Kind, process::Fork};

use crate::{
    kernel::{
        preempt::undisturbed,
        read::{launder, read},
        task,
    },
    records::emit,
    state::{globals::offset, processes},
};

/// TP_PROTO(struct task_struct *parent, struct task_struct *child). The child has not run yet, so this comes before its
/// acts.
#[btf_tracepoint(function = "sched_process_fork")]
pub fn fork(ctx: BtfTracePointContext) -> i32 {
    undisturbed(|| {
        let (parent, child) = (launder(&ctx, 0), launder(&ctx, 1));
        let parent_tgid: u32 = read(parent, offset!(task_tgid));
        let tgid: u32 = read(child, offset!(task_tgid));
        // A thread, or a child of a kernel thread, which has nothing to inherit.
        if tgid == parent_tgid || task::is_kernel_thread(parent) {
            return 0;
        }
        let record = Fork {
            header: emit::header(Kind::Fork, size_of::<Fork>()),
            parent_start_boot_ns: task::start_boot_ns(task::leader(parent)),
            start_boot_ns: task::start_boot_ns(child),
            parent_tgid,
            tgid,
            comm: task::comm(child),
        };
        let sent = emit::submit_process(&record);
        if sent {
            processes::announce_exit(tgid, record.start_boot_ns);
        }
        0
    })
}
