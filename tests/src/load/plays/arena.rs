//! Network namespaces to play in.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
};

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, setns, unshare};

use crate::lab::agent::raise_loopback;

const OF_THIS_THREAD: &str = "/proc/thread-self/ns/net";

/// A thread that moves from one network namespace to the next. Threads and processes that it starts are where it is then.
pub(crate) struct Arena {
    /// The one that the machine is in.
    host: File,
}

impl Arena {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            host: File::open(OF_THIS_THREAD).context(OF_THIS_THREAD)?,
        })
    }

    /// Moves to a new one, and gives its inode; or back to the machine's.
    pub(crate) fn enter(&self, of_its_own: bool) -> Result<Option<u64>> {
        if !of_its_own {
            setns(&self.host, CloneFlags::CLONE_NEWNET).context("setns")?;
            return Ok(None);
        }
        unshare(CloneFlags::CLONE_NEWNET).context("unshare")?;
        raise_loopback().context("lo up")?;
        let here = fs::metadata(OF_THIS_THREAD).context(OF_THIS_THREAD)?;
        Ok(Some(here.ino()))
    }
}
