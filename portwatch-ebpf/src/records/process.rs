//! Process records: sent once for each image of a process, before its first attempt.

use aya_ebpf::helpers::generated::{
    bpf_get_smp_processor_id, bpf_ktime_get_boot_ns, bpf_probe_read_user,
};
use portwatch_common::{
    counters::Counter,
    event::{
        Header, Kind,
        process::{ARGV_LEN, Process, flag},
    },
    maps::PROCESS_SLOTS,
};

use crate::{
    kernel::{paths, read::read, task},
    records::emit,
    state::{
        globals::offset,
        maps::{Context, PROCESS_WORK, PROCESSES},
    },
};

/// Sends the current process's record if it has not been sent since its last exec or change of control group.
#[inline(always)]
pub fn ensure(context: Context, start_boot_ns: u64) {
    let tgid = task::tgid();
    let Some(slot) = PROCESSES.get_ptr(tgid & (PROCESS_SLOTS - 1)) else {
        return;
    };
    let css_set: u64 = task::Pointer::current().read(offset!(task_cgroups));
    // SAFETY: a valid map value. A torn read sends a record once more than needed, at worst.
    let known = unsafe {
        (*slot).tgid == tgid && (*slot).start_boot_ns == start_boot_ns && (*slot).css_set == css_set
    };
    if !known {
        send(context as u32, 0);
    }
}

/// Sends the current process's record. A function of its own, which the verifier looks at once.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn send(context: u32, flags: u32) -> u32 {
    let Some(work) = PROCESS_WORK.get_ptr_mut(Context::masked(context)) else {
        return 0;
    };
    let context = Context::of(context);
    let task = task::current();
    let css_set = task::css_set(task);
    // SAFETY: a valid per-CPU value, which no program of another context touches. No reference to it lives while the
    // steps of a path write to it.
    let (exe, cgroup) = unsafe {
        let file = executable(task);
        let exe = paths::file(context, work, file);
        (exe, paths::kernfs(context, work, task::cgroup(css_set)))
    };
    // SAFETY: as above.
    let record = unsafe { &mut (*work).record };
    task::fill(&mut record.task);
    record.flags = flags;
    arguments(task, record);
    (record.exe_len, record.cgroup_len) = (exe.0, cgroup.0);
    if !exe.1 {
        record.flags |= flag::EXE_TRUNCATED;
    }
    if !cgroup.1 {
        record.flags |= flag::CGROUP_TRUNCATED;
    }
    record.header = Header {
        // SAFETY: the helpers have no conditions.
        boot_ns: unsafe { bpf_ktime_get_boot_ns() },
        kind: Kind::Process as u16,
        len: size_of::<Process>() as u16,
        // SAFETY: as above.
        cpu: unsafe { bpf_get_smp_processor_id() },
    };
    // SAFETY: the record is whole: every field was written, and the arrays have been since the map was created.
    let sent = unsafe {
        emit::submit(
            (&raw const *record).cast(),
            size_of::<Process>() as u64,
            false,
            Counter::ProcessSubmitted,
            Counter::ProcessLost,
        )
    };
    let tgid = record.task.tgid;
    if let Some(slot) = PROCESSES.get_ptr_mut(tgid & (PROCESS_SLOTS - 1)) {
        // SAFETY: a valid map value. What was sent before is not true any more, whether or not this was sent.
        unsafe {
            (*slot).start_boot_ns = record.task.start_boot_ns;
            (*slot).css_set = css_set;
            (*slot).tgid = if sent { tgid } else { 0 };
        }
    }
    0
}

#[inline(always)]
fn arguments(task: u64, record: &mut Process) {
    let mm: u64 = read(task, offset!(task_mm));
    let start: u64 = read(mm, offset!(mm_arg_start));
    let end: u64 = read(mm, offset!(mm_arg_end));
    let mut len = end.wrapping_sub(start);
    record.argv_len = 0;
    if start == 0 || len == 0 || len > u64::from(u32::MAX) {
        return;
    }
    if len > ARGV_LEN as u64 {
        len = ARGV_LEN as u64;
        record.flags |= flag::ARGV_TRUNCATED;
    }
    // SAFETY: `len` is at most the size of the buffer.
    let failed = unsafe {
        bpf_probe_read_user(
            record.argv.as_mut_ptr().cast(),
            len as u32,
            start as *const _,
        )
    };
    if failed == 0 {
        record.argv_len = len as u32;
    } else {
        record.flags |= flag::ARGV_UNREADABLE;
    }
}

/// The file that a task's process executes.
#[inline(always)]
fn executable(task: u64) -> u64 {
    let mm: u64 = read(task, offset!(task_mm));
    read(mm, offset!(mm_exe_file))
}
