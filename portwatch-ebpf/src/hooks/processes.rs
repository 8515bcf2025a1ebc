//! Exec and exit of processes, which often end before anybody can look into `/proc`.

use aya_ebpf::{macros::tracepoint, programs::TracePointContext};
use portwatch_common::event::{
    Kind,
    process::{Exit, flag},
};

use crate::{
    kernel::{preempt::undisturbed, read::read, task},
    records::{emit, process},
    state::{globals::offset, processes, work::Context},
};

/// `sched:sched_process_exec`: the new image is in place, with its arguments.
#[tracepoint]
pub fn exec(_ctx: TracePointContext) -> u32 {
    undisturbed(|| {
        process::send(Context::Tracepoint as u32, flag::AT_EXEC);
        0
    }) as u32
}

/// `sched:sched_process_exit`: of the last thread, for a process that user space knows.
#[tracepoint]
pub fn exit(_ctx: TracePointContext) -> u32 {
    undisturbed(|| {
        let current = task::current();
        let signal: u64 = read(current, offset!(task_signal));
        // Threads that are left. `do_exit()` has subtracted this one already.
        if read::<u32>(signal, offset!(signal_live)) != 0 {
            return 0;
        }
        let tgid = task::tgid();
        let start_boot_ns = task::start_boot_ns(task::leader(current));
        if !processes::remove(tgid, start_boot_ns) {
            return 0;
        }
        let record = Exit {
            header: emit::header(Kind::Exit, size_of::<Exit>()),
            start_boot_ns,
            tgid,
            status: read(current, offset!(task_exit_code)),
        };
        emit::submit_process(&record);
        0
    }) as u32
}
