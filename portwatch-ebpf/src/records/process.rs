//! Records of processes, once for each image of a process and before its first attempt.
//!
//! All is read here and not from `/proc` later: a process that binds in vain often ends at once.

use aya_ebpf::helpers::generated::bpf_probe_read_user;
use portwatch_common::event::{
    Kind,
    process::{ARGV_LEN, Process, flag},
};

use crate::{
    kernel::{paths, read::read, task},
    records::emit,
    state::{
        globals::offset,
        processes,
        work::{Context, ProcessWork},
    },
};

/// Sends the current process's record, unless user space has it since the last exec or change of control group.
#[inline(always)]
pub fn ensure(context: Context, start_boot_ns: u64) {
    let css_set = task::Pointer::current().read(offset!(task_cgroups));
    if !processes::is_sent(task::tgid(), start_boot_ns, css_set) {
        send(context as u32, 0);
    }
}

/// Sends the current process's record. A function of its own, which the verifier looks at once for all hooks.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn send(context: u32, flags: u32) -> u32 {
    let Some(work) = ProcessWork::of(context) else {
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
    record.header = emit::header(Kind::Process, size_of::<Process>());
    let sent = emit::submit_process(record);
    let task = &record.task;
    processes::set_sent(task.tgid, task.start_boot_ns, css_set, sent);
    0
}

/// Reads the arguments from the process's memory, where the process can overwrite them. A page that is not present
/// cannot be read, because a program cannot wait for it.
#[inline(always)]
fn arguments(task: u64, record: &mut Process) {
    let mm: u64 = read(task, offset!(task_mm));
    let start: u64 = read(mm, offset!(mm_arg_start));
    let end: u64 = read(mm, offset!(mm_arg_end));
    let mut len = end.wrapping_sub(start);
    record.argv_len = 0;
    // Kernel threads have no memory. During an exec or prctl() the end may be before the start.
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

/// The file that a process executes.
#[inline(always)]
fn executable(task: u64) -> u64 {
    let mm: u64 = read(task, offset!(task_mm));
    read(mm, offset!(mm_exe_file))
}
