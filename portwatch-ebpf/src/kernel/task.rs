//! `struct task_struct`.
//!
//! Process ids are those of the initial pid namespace. They are reused, so each goes with its start time.

use aya_ebpf::helpers::{
    bpf_get_current_pid_tgid, bpf_get_current_uid_gid,
    generated::{bpf_get_current_task, bpf_get_current_task_btf},
};
use portwatch_common::event::process::Task;

use crate::{
    kernel::read::{read, typed},
    state::globals::{config, has, offset},
};

/// `PF_KTHREAD` of `include/linux/sched.h`.
const PF_KTHREAD: u32 = 0x0020_0000;

/// The current task's `task_struct`.
#[inline(always)]
pub fn current() -> u64 {
    // SAFETY: the helper has no conditions.
    unsafe { bpf_get_current_task() }
}

/// A pointer to a task, or one that was reached from a task.
///
/// Where the verifier knows its type, its members are read without a helper. A bind reads a dozen of them.
#[derive(Clone, Copy)]
pub struct Pointer(u64);

impl Pointer {
    /// The current task.
    #[inline(always)]
    pub fn current() -> Self {
        if Self::is_known() {
            // SAFETY: the helper has no conditions.
            Self(unsafe { bpf_get_current_task_btf() } as u64)
        } else {
            Self(current())
        }
    }

    /// True if the verifier knows the type. Where the younger `bpf_task_pt_regs()` exists (5.15), so does the helper
    /// that gives a typed task (5.11).
    #[inline(always)]
    fn is_known() -> bool {
        has!(helper_task_pt_regs)
    }

    /// A member.
    #[inline(always)]
    pub fn read<T: Default + Copy>(self, offset: u32) -> T {
        if Self::is_known() {
            // SAFETY: it comes from the helper that gives a typed task.
            unsafe { typed(self.0, offset) }
        } else {
            read(self.0, offset)
        }
    }

    /// A member that points to a struct.
    #[inline(always)]
    pub fn follow(self, offset: u32) -> Self {
        Self(self.read(offset))
    }

    /// The address.
    #[inline(always)]
    pub fn address(self) -> u64 {
        self.0
    }

    /// Leader thread of the task's process.
    #[inline(always)]
    pub fn leader(self) -> Self {
        self.follow(offset!(task_group_leader))
    }

    /// When a leader thread started: `CLOCK_BOOTTIME`, ns.
    #[inline(always)]
    pub fn start_boot_ns(self) -> u64 {
        self.read(offset!(task_start_boottime))
    }

    /// Process id of a leader's parent.
    #[inline(always)]
    pub fn ppid(self) -> u32 {
        self.follow(offset!(task_real_parent))
            .read(offset!(task_tgid))
    }

    /// Name of a thread.
    #[inline(always)]
    pub fn comm(self) -> [u8; 16] {
        // Two words: a typed read gives at most eight bytes.
        let [low, high]: [u64; 2] = if Self::is_known() {
            let at = offset!(task_comm);
            [self.read(at), self.read(at + 8)]
        } else {
            read(self.0, offset!(task_comm))
        };
        (u128::from(low) | u128::from(high) << 64).to_le_bytes()
    }

    /// True for a kernel thread. Where a socket is closed, it does a deferred `fput()` for some process.
    #[inline(always)]
    pub fn is_kernel_thread(self) -> bool {
        self.read::<u32>(offset!(task_flags)) & PF_KTHREAD != 0
    }
}

/// Process id of the current task.
#[inline(always)]
pub fn tgid() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}

/// Leader thread of a task's process.
///
/// The leader has the name by which people know the process. A worker thread of `io_uring` is called `iou-wrk-PID`.
#[inline(always)]
pub fn leader(task: u64) -> u64 {
    read(task, offset!(task_group_leader))
}

/// When a leader thread started: `CLOCK_BOOTTIME`, ns.
#[inline(always)]
pub fn start_boot_ns(leader: u64) -> u64 {
    read(leader, offset!(task_start_boottime))
}

/// True for a kernel thread.
#[inline(always)]
pub fn is_kernel_thread(thread: u64) -> bool {
    read::<u32>(thread, offset!(task_flags)) & PF_KTHREAD != 0
}

/// Name of a thread.
#[inline(always)]
pub fn comm(thread: u64) -> [u8; 16] {
    read(thread, offset!(task_comm))
}

/// A task's `css_set`: the control groups that it is in, all together. Another one means that the task was moved.
#[inline(always)]
pub fn css_set(task: u64) -> u64 {
    read(task, offset!(task_cgroups))
}

/// Fills in the current task, and gives the address of its network namespace.
///
/// The socket's namespace may be another: a process can create a socket and then `setns()`. That one decides conflicts.
#[inline(always)]
pub fn fill(out: &mut Task) -> u64 {
    let task = Pointer::current();
    let pid_tgid = bpf_get_current_pid_tgid();
    out.tgid = (pid_tgid >> 32) as u32;
    out.tid = pid_tgid as u32;
    out.uid = bpf_get_current_uid_gid() as u32;
    let leader = task.leader();
    out.start_boot_ns = leader.start_boot_ns();
    out.ppid = leader.ppid();
    out.comm = task.comm();
    out.leader_comm = leader.comm();
    out.cap_effective = task
        .follow(offset!(task_cred))
        .read(offset!(cred_cap_effective));
    let net = task
        .follow(offset!(task_nsproxy))
        .follow(offset!(nsproxy_net));
    out.netns = net.read(offset!(net_inum));
    out.ns_pid = ns_pid(leader, out.tgid);
    net.address()
}

/// Process id of a leader in its innermost pid namespace.
#[inline(always)]
fn ns_pid(leader: Pointer, tgid: u32) -> u32 {
    if !has!(task_thread_pid) || !has!(pid_numbers) || !has!(upid_size) {
        return 0;
    }
    // `MAX_PID_NS_LEVEL` of `include/linux/pid_namespace.h`.
    const DEEPEST: u32 = 32;
    let pid = leader.follow(offset!(task_thread_pid));
    match pid.read::<u32>(offset!(pid_level)) {
        0 => tgid,
        level @ 1..=DEEPEST => {
            // Through probe reads: the verifier allows a constant offset only on a typed pointer.
            let pid: u64 = read(self::leader(current()), offset!(task_thread_pid));
            let number = u64::from(offset!(pid_numbers)) + u64::from(level * offset!(upid_size));
            read(pid + number, offset!(upid_nr))
        }
        _ => 0,
    }
}

/// The `kernfs` node of the control group that names a process best; 0 if there is none.
///
/// The one of the unified hierarchy, unless that is the root. On a hybrid host it is, for every process, and
/// `bpf_get_current_cgroup_id()` says nothing there. Then the first v1 controller decides in which the process is not
/// in the root. User space reads `/proc/PID/cgroup` by the same rule.
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
