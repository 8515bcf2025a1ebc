//! Who made which process, and who asked one to end: tp_btf `sched_process_fork` and `signal_generate`.

use aya_ebpf::{
    helpers::generated::{bpf_get_smp_processor_id, bpf_ktime_get_boot_ns},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use portwatch_common::{
    counters::Counter,
    event::{
        Header, Kind,
        process::{Fork, Signal},
    },
    maps::PROCESS_SLOTS,
};

use crate::{
    kernel::{
        preempt::undisturbed,
        read::{launder, read},
        task,
    },
    records::emit,
    state::{
        globals::{has, offset},
        maps::PROCESSES,
    },
};

/// `SIGHUP`, `SIGINT`, `SIGQUIT`, `SIGKILL` and `SIGTERM` of `include/uapi/asm-generic/signal.h`, as bits.
const ENDING: u64 = 1 << SIGHUP | 1 << 2 | 1 << 3 | 1 << 9 | 1 << 15;
const SIGHUP: u32 = 1;
/// `TRACE_SIGNAL_DELIVERED` of `include/trace/events/signal.h`: neither ignored, nor pending already, nor lost.
const DELIVERED: u32 = 0;
/// `SEND_SIG_NOINFO` of `include/linux/sched/signal.h`: the kernel sends it for the current process.
const NO_INFO: u64 = 0;
/// `SEND_SIG_PRIV`: the kernel sends it by itself.
const PRIVATE: u64 = 1;
/// `SI_USER`, `SI_QUEUE` and `SI_TKILL` of `include/uapi/asm-generic/siginfo.h`: what system calls send.
const SENT: [i32; 3] = [0, -1, -6];
/// `SIG_IGN`: what lies above is a handler.
const IGNORED: u64 = 1;
/// `PF_KTHREAD` of `include/linux/sched.h`.
const PF_KTHREAD: u32 = 0x0020_0000;

/// TP_PROTO(struct task_struct *parent, struct task_struct *child). The child has not run yet.
#[btf_tracepoint(function = "sched_process_fork")]
pub fn fork(ctx: BtfTracePointContext) -> i32 {
    undisturbed(|| {
        let (parent, child) = (launder(&ctx, 0), launder(&ctx, 1));
        let parent_tgid: u32 = read(parent, offset!(task_tgid));
        let tgid: u32 = read(child, offset!(task_tgid));
        // A thread, or a process that nothing is inherited by.
        if tgid == parent_tgid || read::<u32>(parent, offset!(task_flags)) & PF_KTHREAD != 0 {
            return 0;
        }
        let record = Fork {
            header: header(Kind::Fork, size_of::<Fork>()),
            parent_start_boot_ns: task::start_boot_ns(task::leader(parent)),
            start_boot_ns: task::start_boot_ns(child),
            parent_tgid,
            tgid,
            comm: task::comm(child),
        };
        // SAFETY: a whole record on the stack.
        let sent = unsafe {
            emit::submit(
                (&raw const record).cast(),
                size_of::<Fork>() as u64,
                false,
                Counter::ProcessSubmitted,
                Counter::ProcessLost,
            )
        };
        if sent {
            announce_exit(tgid, record.start_boot_ns);
        }
        0
    })
}

/// Has the end of a process told, as long as no other one has its slot. What the process is has not been sent: no control
/// group is known of it.
#[inline(always)]
fn announce_exit(tgid: u32, start_boot_ns: u64) {
    let Some(slot) = PROCESSES.get_ptr_mut(tgid & (PROCESS_SLOTS - 1)) else {
        return;
    };
    // SAFETY: a valid map value. Who writes to it at the same time sends a record once more than needed, at worst.
    unsafe {
        if (*slot).tgid == 0 || (*slot).tgid == tgid {
            (*slot).start_boot_ns = start_boot_ns;
            (*slot).css_set = 0;
            (*slot).tgid = tgid;
        }
    }
}

/// TP_PROTO(int sig, struct kernel_siginfo *info, struct task_struct *task, int group, int result)
#[btf_tracepoint(function = "signal_generate")]
pub fn signal(ctx: BtfTracePointContext) -> i32 {
    undisturbed(|| {
        let number = launder(&ctx, 0) as u32;
        if number > 63 || ENDING >> number & 1 == 0 || launder(&ctx, 4) as u32 != DELIVERED {
            return 0;
        }
        let target = launder(&ctx, 2);
        // A server that handles it reads its settings again.
        if number == SIGHUP && handles_hangup(target) {
            return 0;
        }
        let mut record = Signal {
            header: header(Kind::Signal, size_of::<Signal>()),
            start_boot_ns: task::start_boot_ns(task::leader(target)),
            sender_start_boot_ns: 0,
            tgid: read(target, offset!(task_tgid)),
            sender_tgid: 0,
            signal: number,
            reserved: 0,
            sender_comm: [0; 16],
        };
        if is_sent_by_current(launder(&ctx, 1)) {
            let leader = task::leader(task::current());
            record.sender_tgid = task::tgid();
            record.sender_start_boot_ns = task::start_boot_ns(leader);
            record.sender_comm = task::comm(leader);
        }
        // SAFETY: a whole record on the stack.
        unsafe {
            emit::submit(
                (&raw const record).cast(),
                size_of::<Signal>() as u64,
                false,
                Counter::ProcessSubmitted,
                Counter::ProcessLost,
            );
        }
        0
    })
}

/// True if a task has a handler for `SIGHUP`, whose action is the first.
#[inline(always)]
fn handles_hangup(target: u64) -> bool {
    if !has!(task_sighand) || !has!(sighand_action) || !has!(sigaction_handler) {
        return false;
    }
    let sighand: u64 = read(target, offset!(task_sighand));
    let handler: u64 = read(
        sighand,
        offset!(sighand_action) + offset!(sigaction_handler),
    );
    handler > IGNORED
}

/// True if a system call of the current process sent the signal. A timer's comes in whatever process there is.
#[inline(always)]
fn is_sent_by_current(info: u64) -> bool {
    match info {
        NO_INFO => true,
        PRIVATE => false,
        info => has!(siginfo_code) && SENT.contains(&read(info, offset!(siginfo_code))),
    }
}

#[inline(always)]
fn header(kind: Kind, len: usize) -> Header {
    Header {
        // SAFETY: the helpers have no conditions.
        boot_ns: unsafe { bpf_ktime_get_boot_ns() },
        kind: kind as u16,
        len: len as u16,
        // SAFETY: as above.
        cpu: unsafe { bpf_get_smp_processor_id() },
    }
}
