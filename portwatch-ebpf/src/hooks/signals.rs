//! Signals that may end a process, with their sender: tp_btf `signal_generate`.
//!
//! So a verdict can say that the blocker was asked to end, and by which process.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use portwatch_common::event::{Kind, process::Signal};

use crate::{
    kernel::{
        preempt::undisturbed,
        read::{launder, read},
        task,
    },
    records::emit,
    state::globals::{has, offset},
};

/// `SIGHUP`, `SIGINT`, `SIGQUIT`, `SIGKILL` and `SIGTERM` of `include/uapi/asm-generic/signal.h`, as bits.
const ENDING: u64 = 1 << SIGHUP | 1 << 2 | 1 << 3 | 1 << 9 | 1 << 15;
const SIGHUP: u32 = 1;
/// `TRACE_SIGNAL_DELIVERED` of `include/trace/events/signal.h`: neither ignored, nor pending already, nor lost.
const DELIVERED: u32 = 0;
/// `SEND_SIG_NOINFO` of `include/linux/sched/signal.h`: sent on behalf of the current process.
const NO_INFO: u64 = 0;
/// `SEND_SIG_PRIV`: sent by the kernel itself.
const PRIVATE: u64 = 1;
/// `SI_USER`, `SI_QUEUE` and `SI_TKILL` of `include/uapi/asm-generic/siginfo.h`: codes of signals that system calls
/// send.
const SENT: [i32; 3] = [0, -1, -6];
/// `SIG_IGN`: addresses above are handlers.
const IGNORED: u64 = 1;

/// TP_PROTO(int sig, struct kernel_siginfo *info, struct task_struct *task, int group, int result)
#[btf_tracepoint(function = "signal_generate")]
pub fn signal(ctx: BtfTracePointContext) -> i32 {
    undisturbed(|| {
        let number = launder(&ctx, 0) as u32;
        if number > 63 || ENDING >> number & 1 == 0 || launder(&ctx, 4) as u32 != DELIVERED {
            return 0;
        }
        let target = launder(&ctx, 2);
        // With a handler it means: read the settings again.
        if number == SIGHUP && handles_hangup(target) {
            return 0;
        }
        let mut record = Signal {
            header: emit::header(Kind::Signal, size_of::<Signal>()),
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
        emit::submit_process(&record);
        0
    })
}

/// True if a task has a handler for `SIGHUP`, signal 1 and so the first action.
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

/// True if a system call of the current process sent the signal. A timer sends its signal in any process.
#[inline(always)]
fn is_sent_by_current(info: u64) -> bool {
    match info {
        NO_INFO => true,
        PRIVATE => false,
        info => has!(siginfo_code) && SENT.contains(&read(info, offset!(siginfo_code))),
    }
}
