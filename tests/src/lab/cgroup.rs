//! A control group of its own, with BPF programs that have a say in what its processes bind.

mod program;

use std::{
    fs::{self, File},
    net::SocketAddrV4,
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::id,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result};
use nix::errno::Errno;

use self::program::Program;
use super::{Process, Skip};

/// What a program of a control group does.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// Refuses every IPv4 `bind()` before it begins.
    RefuseBind,
    /// Refuses every IPv4 `bind()` when it has its port.
    RefuseBound,
    /// Binds every IPv4 socket here when it connects.
    BindAtConnect(SocketAddrV4),
}

/// A control group. It goes away when this is dropped, if its processes have ended.
#[derive(Debug)]
pub struct Cgroup(PathBuf);

impl Cgroup {
    /// Makes one in the unified hierarchy, with a program.
    pub fn new(rule: Rule) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let group = Self::named(&format!("portwatch-tests-{}-{number}", id()))?;
        group.obey(rule)?;
        Ok(group)
    }

    /// Makes one of this name in the unified hierarchy, without a program.
    pub fn named(name: &str) -> Result<Self> {
        let Some(root) = unified_hierarchy()? else {
            return Err(Skip("no unified hierarchy of control groups here".into()).into());
        };
        let path = root.join(name);
        fs::create_dir(&path).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }

    /// Its processes obey the rule from now on, until the group goes away.
    fn obey(&self, rule: Rule) -> Result<()> {
        let directory = File::open(&self.0)?;
        let attached = Program::load(rule).and_then(|program| program.attach(directory.as_fd()));
        match attached {
            Ok(()) => Ok(()),
            // Hardened kernels keep such programs from everybody.
            Err(errno @ (Errno::EPERM | Errno::EACCES)) => {
                let reason = format!("no BPF programs of control groups here: {errno}");
                Err(Skip(reason).into())
            }
            Err(errno) => Err(errno).with_context(|| format!("{rule:?}")),
        }
    }

    /// A process is in it from now on.
    pub fn enter(&self, process: &Process<'_>) -> Result<()> {
        let path = self.0.join("cgroup.procs");
        fs::write(&path, process.pid().to_string()).with_context(|| path.display().to_string())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Best effort: one that stays is empty.
        let _ = fs::remove_dir(&self.0);
    }
}

fn unified_hierarchy() -> Result<Option<PathBuf>> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("/proc/self/mounts")?;
    Ok(mounts.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (place, kind) = (words.next()?, words.next()?);
        (kind == "cgroup2").then(|| Path::new(place).to_owned())
    }))
}
