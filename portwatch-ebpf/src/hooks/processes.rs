//! Processes: what they are at exec, and that they ended.

use aya_ebpf::{
    helpers::generated::{bpf_get_smp_processor_id, bpf_ktime_get_boot_ns},
    macros::tracepoint,
    programs::TracePointContext,
};
use portwatch_common::{
    counters::Counter,
    event::{
        Header, Kind,
        process::{Exit, flag},
    },
    maps::PROCESS_SLOTS,
};

use crate::{
    kernel::{preempt::undisturbed, read::read, task},
    records::{emit, process},
    state::{
        globals::offset,
        maps::{Context, PROCESSES},
    },
};

/// `sched:sched_process_exec`: the new image is in place, so its arguments can be read.
#[tracepoint]
pub fn exec(_ctx: TracePointContext) -> u32 {
    undisturbed(|| {
        process::send(Context::Tracepoint as u32, flag::AT_EXEC);
        0
    }) as u32
}

/// `sched:sched_process_exit`: of the last thread, for a process whose record was sent.
#[tracepoint]
pub fn exit(_ctx: TracePointContext) -> u32 {
    undisturbed(|| {
        let current = task::current();
        let signal: u64 = read(current, offset!(task_signal));
        // `do_exit()` has counted this thread out already.
        if read::<u32>(signal, offset!(signal_live)) != 0 {
            return 0;
        }
        let tgid = task::tgid();
        let start_boot_ns = task::start_boot_ns(task::leader(current));
        let Some(slot) = PROCESSES.get_ptr_mut(tgid & (PROCESS_SLOTS - 1)) else {
            return 0;
        };
        // SAFETY: a valid map value.
        unsafe {
            if (*slot).tgid != tgid || (*slot).start_boot_ns != start_boot_ns {
                return 0;
            }
            (*slot).tgid = 0;
        }
        let record = Exit {
            header: Header {
                // SAFETY: the helpers have no conditions.
                boot_ns: unsafe { bpf_ktime_get_boot_ns() },
                kind: Kind::Exit as u16,
                len: size_of::<Exit>() as u16,
                // SAFETY: as above.
                cpu: unsafe { bpf_get_smp_processor_id() },
            },
            start_boot_ns,
            tgid,
            status: read(current, offset!(task_exit_code)),
        };
        // SAFETY: a whole record on the stack.
        unsafe {
            emit::submit(
                (&raw const record).cast(),
                size_of::<Exit>() as u64,
                false,
                Counter::ProcessSubmitted,
                Counter::ProcessLost,
            );
        }
        0
    }) as u32
}
