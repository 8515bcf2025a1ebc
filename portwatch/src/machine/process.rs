//! Processes as `/proc` shows them.

use std::{io::Read, os::unix::fs::MetadataExt, path::Path, sync::OnceLock};

use nix::unistd::{SysconfVar, sysconf};
use portwatch_core::words::arguments::{ARGUMENT_BYTES, arguments};
use procfs::process::{Process as Entry, Stat};

use super::cgroup;
use portwatch_core::model::{number::Big, process::Process};

/// Longest file that is read: `/proc/PID/cgroup` of a host with every v1 hierarchy and deep paths.
const FILE_BYTES: u64 = 64 * 1024;

/// Reads what there is to know about a process; `None` when it is gone, or hidden (`hidepid`).
///
/// Fields that may not be read (the executable and the namespace of another user's process) are `None`. The user's
/// name is left to [`super::complete::complete`].
#[must_use]
pub fn read_process(pid: u32) -> Option<Process> {
    // The entry is an open directory: it stays that of this process and fails when it has ended, even if the pid has
    // been given to another one by then.
    let entry = Entry::new(i32::try_from(pid).ok()?).ok()?;
    let stat = entry.stat().ok()?;
    let cgroup = text(&entry, "cgroup").and_then(|text| cgroup::choose(&text).map(str::to_owned));
    let status = entry.status().ok();
    let process = Process {
        pid,
        tid: None,
        ppid: u32::try_from(stat.ppid).ok(),
        comm: stat.comm.clone(),
        exe: entry.exe().ok().map(|path| without_deleted(&path)),
        cmdline: cmdline(&entry),
        uid: status.as_ref().map(|status| status.ruid),
        user: None,
        start_boot_ns: Some(start_boot_ns(&stat)),
        unit: cgroup.as_deref().and_then(cgroup::unit),
        container: cgroup.as_deref().and_then(cgroup::container),
        cgroup,
        netns: netns(&entry),
        ns_pid: status
            .and_then(|status| innermost(&status.nspid?))
            .filter(|own| *own != pid),
        ancestors: Vec::new(),
    };
    // Belt and braces for a /proc whose entries would not be bound to their process: two processes are never mixed.
    let again = Entry::new(entry.pid).ok()?.stat().ok()?;
    (again.starttime == stat.starttime).then_some(process)
}

/// When the process that has this pid now started: nanoseconds since boot, to a tick of `USER_HZ`. `None` when there is
/// none, or it is hidden.
#[must_use]
pub fn started(pid: u32) -> Option<u64> {
    let entry = Entry::new(i32::try_from(pid).ok()?).ok()?;
    entry.stat().ok().map(|stat| start_boot_ns(&stat).0)
}

/// Whether a descriptor of a process is closed on exec; `None` when it is gone or may not be looked at.
#[must_use]
pub fn closes_on_exec(pid: u32, fd: u32) -> Option<bool> {
    let info = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")).ok()?;
    flags(&info).map(|flags| flags & libc::O_CLOEXEC.cast_unsigned() != 0)
}

/// The octal number of `flags:`, among which the kernel puts the descriptor's own (`seq_show` of `fs/proc/fd.c`).
fn flags(info: &str) -> Option<u32> {
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
    u32::from_str_radix(flags.trim(), 8).ok()
}

/// When the process started: nanoseconds since boot, rounded down to a tick of `USER_HZ`.
///
/// `/proc` counts in those ticks (`do_task_stat`, `nsec_to_clock_t` of `start_boottime`), whatever the kernel's own
/// `HZ` is.
fn start_boot_ns(stat: &Stat) -> Big {
    static TICK_NS: OnceLock<u64> = OnceLock::new();
    let tick_ns = *TICK_NS.get_or_init(|| {
        let hz = sysconf(SysconfVar::CLK_TCK)
            .ok()
            .flatten()
            .and_then(|hz| u64::try_from(hz).ok());
        1_000_000_000 / hz.filter(|hz| *hz > 0).unwrap_or(100)
    });
    Big(stat.starttime.saturating_mul(tick_ns))
}

fn text(entry: &Entry, name: &str) -> Option<String> {
    let mut bytes = Vec::new();
    entry
        .open_relative(name)
        .ok()?
        .take(FILE_BYTES)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn cmdline(entry: &Entry) -> Option<Vec<String>> {
    let mut bytes = Vec::new();
    let limit = ARGUMENT_BYTES as u64 + 1;
    let read = entry
        .open_relative("cmdline")
        .ok()?
        .take(limit)
        .read_to_end(&mut bytes);
    read.ok()?;
    arguments(&bytes)
}

/// The last of the pids that a process has in nested namespaces: what it calls itself.
fn innermost(pids: &[i32]) -> Option<u32> {
    u32::try_from(*pids.last()?).ok()
}

/// The path of an executable that was replaced or removed ends in ` (deleted)`, which is no part of its name.
fn without_deleted(path: &Path) -> String {
    let path = path.to_string_lossy();
    path.strip_suffix(" (deleted)").unwrap_or(&path).to_owned()
}

/// Inode of the network namespace.
fn netns(entry: &Entry) -> Option<u32> {
    let inode = entry.open_relative("ns/net").ok()?.metadata().ok()?.ino();
    u32::try_from(inode).ok()
}

#[cfg(test)]
mod tests;
