//! Processes: from the kernel's record, from what is remembered, from what can still be looked up.

use crate::prelude::*;
use portwatch_common::event::{
    owner::Owner as RawOwner,
    process::{Process as RawProcess, Task, flag},
};

use super::{Assembler, Surroundings};
use crate::{
    memory::processes::Key,
    model::{number::Big, process::Process},
    words::arguments::{ARGUMENTS_CUT, arguments},
};

/// A name that the kernel keeps in a fixed field.
pub(super) fn comm(bytes: &[u8; 16]) -> String {
    let end = bytes
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// The process of a record that was made at exec or before an attempt.
pub(super) fn from_event(raw: &RawProcess) -> Process {
    let mut process = from_task(&raw.task);
    process.tid = None;
    process.exe = path(&raw.exe, raw.exe_len, raw.flags & flag::EXE_TRUNCATED != 0);
    process.cgroup = path(
        &raw.cgroup,
        raw.cgroup_len,
        raw.flags & flag::CGROUP_TRUNCATED != 0,
    );
    if raw.flags & flag::ARGV_UNREADABLE == 0 {
        let len = (raw.argv_len as usize).min(raw.argv.len());
        process.cmdline = arguments(&raw.argv[..len]);
        if raw.flags & flag::ARGV_TRUNCATED != 0
            && let Some(arguments) = &mut process.cmdline
            && arguments.last().is_none_or(|last| last != ARGUMENTS_CUT)
        {
            arguments.push(ARGUMENTS_CUT.to_owned());
        }
    }
    process
}

/// The task of an attempt: all of it was read when it acted.
pub(super) fn from_task(task: &Task) -> Process {
    Process {
        pid: task.tgid,
        ns_pid: (task.ns_pid != 0 && task.ns_pid != task.tgid).then_some(task.ns_pid),
        tid: Some(task.tid),
        ppid: Some(task.ppid),
        comm: comm(&task.leader_comm),
        uid: Some(task.uid),
        start_boot_ns: Some(Big(task.start_boot_ns)),
        netns: Some(task.netns),
        ..Process::default()
    }
}

fn from_owner(owner: &RawOwner) -> Process {
    Process {
        pid: owner.tgid,
        ppid: Some(owner.ppid),
        comm: comm(&owner.comm),
        uid: Some(owner.uid),
        start_boot_ns: Some(Big(owner.start_boot_ns)),
        ..Process::default()
    }
}

/// Names that end in NUL, innermost first, as a path. One whose beginning is missing is no path.
fn path(names: &[u8], len: u32, truncated: bool) -> Option<String> {
    let names = names.get(..len as usize)?;
    if truncated || (!names.is_empty() && names.last() != Some(&0)) {
        return None;
    }
    let mut path = String::new();
    for name in names
        .split(|&byte| byte == 0)
        .rev()
        .filter(|name| !name.is_empty())
    {
        path.push('/');
        path.push_str(&String::from_utf8_lossy(name));
    }
    if path.is_empty() {
        path.push('/');
    }
    Some(path)
}

impl<S: Surroundings> Assembler<S> {
    /// Who made an attempt: what was read as it acted, and what its image is known to be.
    pub(super) fn actor(&mut self, task: &Task) -> Process {
        let key = Key::new(task.tgid, task.start_boot_ns);
        let mut process = from_task(task);
        if self.memory.processes.get(key).is_none() {
            self.learn(task.tgid, task.start_boot_ns, &process.comm);
        }
        if let Some(known) = self.memory.processes.get(key) {
            let known = &known.process;
            process.exe.clone_from(&known.exe);
            process.cmdline.clone_from(&known.cmdline);
            process.cgroup.clone_from(&known.cgroup);
        }
        self.surroundings.complete(&mut process);
        process
    }

    /// Who a connection was recorded for, and when it ended, if it did.
    pub(super) fn recorded(&mut self, owner: &RawOwner) -> (Process, Option<u64>) {
        let key = Key::new(owner.tgid, owner.start_boot_ns);
        let mut process = from_owner(owner);
        if self.memory.processes.get(key).is_none() {
            self.learn(owner.tgid, owner.start_boot_ns, &process.comm);
        }
        let mut exited = None;
        if let Some(known) = self.memory.processes.get(key) {
            exited = known.exited_boot_ns;
            process.exe.clone_from(&known.process.exe);
            process.cmdline.clone_from(&known.process.cmdline);
            process.cgroup.clone_from(&known.process.cgroup);
            process.netns = known.process.netns;
            process.ns_pid = known.process.ns_pid;
        }
        self.surroundings.complete(&mut process);
        (process, exited)
    }

    /// Looks a process up that has not been seen, while it lives. A process of that pid with another start is another.
    pub(super) fn learn(&mut self, pid: u32, start_boot_ns: u64, comm: &str) {
        let key = Key::new(pid, start_boot_ns);
        if self.memory.processes.get(key).is_some() {
            return;
        }
        let process = self
            .surroundings
            .process(pid, start_boot_ns)
            .unwrap_or_else(|| Process {
                pid,
                comm: comm.to_owned(),
                start_boot_ns: Some(Big(start_boot_ns)),
                ..self.image_by_fork(key).unwrap_or_default()
            });
        self.memory.processes.insert(key, process);
    }

    pub(super) fn start_of(&mut self, key: Key) -> Option<u64> {
        self.memory
            .processes
            .get(key)
            .and_then(|known| known.process.start_boot_ns)
            .map(|start| start.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_put_together_from_the_inside_out() {
        assert_eq!(
            path(b"python3\0bin\0usr\0", 16, false).as_deref(),
            Some("/usr/bin/python3")
        );
        assert_eq!(path(b"", 0, false).as_deref(), Some("/"));
        assert_eq!(path(b"bin\0usr\0", 8, true), None);
        assert_eq!(path(b"bin\0us", 6, false), None);
        assert_eq!(path(b"x\0", 400, false), None);
    }

    #[test]
    fn a_name_ends_at_its_first_nul_and_is_made_valid() {
        assert_eq!(comm(b"node\0rest of it."), "node");
        assert_eq!(comm(b"\xffaaaaaaaaaaaaaaa"), "\u{fffd}aaaaaaaaaaaaaaa");
    }
}
