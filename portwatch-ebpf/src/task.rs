//! The only place that reads tasks.

use aya_ebpf::helpers::{
    bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_get_current_uid_gid,
    generated::{bpf_get_current_task, bpf_get_current_task_btf, bpf_task_pt_regs},
};
use portwatch_common::event::process::Task;

use crate::{
    globals::{config, has, offset},
    read::read,
};

/// `PF_KTHREAD` of `include/linux/sched.h`.
const PF_KTHREAD: u32 = 0x0020_0000;

/// The current task's `task_struct`.
#[inline(always)]
pub fn current() -> u64 {
    // SAFETY: the helper has no conditions.
    unsafe { bpf_get_current_task() }
}

/// Process id of the current task.
#[inline(always)]
pub fn tgid() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}

/// True for a kernel thread: a deferred `fput`, not the process that closed.
#[inline(always)]
pub fn is_kernel_thread(task: u64) -> bool {
    read::<u32>(task, offset!(task_flags)) & PF_KTHREAD != 0
}

/// `TS_COMPAT` of `arch/x86/include/asm/thread_info.h`.
const TS_COMPAT: u32 = 2;

/// True if a task is in a 32-bit system call.
#[inline(always)]
pub fn is_compat(task: u64) -> bool {
    has!(task_status) && read::<u32>(task, offset!(task_status)) & TS_COMPAT != 0
}

/// Where the registers of the current thread are that its system call was made with; 0 where a program may not ask
/// (before 5.15).
#[inline(always)]
pub fn user_registers() -> u64 {
    if !has!(helper_task_pt_regs) {
        return 0;
    }
    // SAFETY: the helpers have no conditions.
    unsafe { bpf_task_pt_regs(bpf_get_current_task_btf()) as u64 }
}

/// The second and third argument of a system call, from its registers.
#[inline(always)]
pub fn arguments(registers: u64) -> (u64, u64) {
    if has!(regs_arg1) {
        (
            read(registers, offset!(regs_arg1)),
            read(registers, offset!(regs_arg2)),
        )
    } else {
        let first = offset!(regs_arg0);
        (read(registers, first + 8), read(registers, first + 16))
    }
}

/// Leader thread of a task's process: what does not differ between threads is read there.
#[inline(always)]
pub fn leader(task: u64) -> u64 {
    read(task, offset!(task_group_leader))
}

/// When a leader thread started: `CLOCK_BOOTTIME`, ns.
#[inline(always)]
pub fn start_boot_ns(leader: u64) -> u64 {
    read(leader, offset!(task_start_boottime))
}

/// Process id of a leader's parent.
#[inline(always)]
pub fn ppid(leader: u64) -> u32 {
    read(read(leader, offset!(task_real_parent)), offset!(task_tgid))
}

/// Name of a thread.
#[inline(always)]
pub fn comm(thread: u64) -> [u8; 16] {
    read(thread, offset!(task_comm))
}

/// A task's `css_set`: which control groups it is in.
#[inline(always)]
pub fn css_set(task: u64) -> u64 {
    read(task, offset!(task_cgroups))
}

/// Fills in the current task.
#[inline(always)]
pub fn fill(task: u64, out: &mut Task) {
    let pid_tgid = bpf_get_current_pid_tgid();
    out.tgid = (pid_tgid >> 32) as u32;
    out.tid = pid_tgid as u32;
    out.uid = bpf_get_current_uid_gid() as u32;
    let leader = leader(task);
    out.start_boot_ns = start_boot_ns(leader);
    out.ppid = ppid(leader);
    out.comm = bpf_get_current_comm().unwrap_or_default();
    out.leader_comm = if leader == task {
        out.comm
    } else {
        comm(leader)
    };
    out.cap_effective = read(read(task, offset!(task_cred)), offset!(cred_cap_effective));
    let net: u64 = read(read(task, offset!(task_nsproxy)), offset!(nsproxy_net));
    out.netns = read(net, offset!(net_inum));
    out.reserved = 0;
}

/// The `kernfs` node of the control group that names a process best; 0 if there is none.
///
/// The unified hierarchy, unless the process is in its root; else the first of the configured v1 controllers in whose
/// hierarchy it is not in the root. `/proc/PID/cgroup` is read by the same rule in user space.
#[inline(always)]
pub fn cgroup(css_set: u64) -> u64 {
    if !has!(cset_dfl_cgrp) || !has!(cgroup_kn) || !has!(kn_parent) {
        return 0;
    }
    let unified: u64 = read(read(css_set, offset!(cset_dfl_cgrp)), offset!(cgroup_kn));
    if read::<u64>(unified, offset!(kn_parent)) != 0 {
        return unified;
    }
    if !has!(cset_subsys) || !has!(css_cgroup) {
        return unified;
    }
    let subsys = config!(cgroup_subsys);
    let count = config!(cgroup_subsys_count);
    for (i, index) in subsys.iter().enumerate() {
        if i as u32 >= count {
            break;
        }
        let css: u64 = read(css_set, offset!(cset_subsys) + index * 8);
        let node: u64 = read(read(css, offset!(css_cgroup)), offset!(cgroup_kn));
        if read::<u64>(node, offset!(kn_parent)) != 0 {
            return node;
        }
    }
    unified
}
