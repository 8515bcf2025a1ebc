//! Names of network namespaces, given as `ip netns` gives them.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::id,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::{Lab, Process};

const DIRECTORY: &str = "/run/netns";

/// A name of a namespace. It is taken away when this is dropped.
pub struct Name<'lab> {
    lab: &'lab Lab,
    netns: u64,
    path: PathBuf,
}

impl Lab {
    /// Names the network namespace that a process is in.
    pub fn name_netns(&self, process: &Process<'_>) -> Result<Name<'_>> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        fs::create_dir_all(DIRECTORY).context(DIRECTORY)?;
        let name = format!("portwatch-tests-{}-{number}", id());
        let path = Path::new(DIRECTORY).join(&name);
        File::create_new(&path).with_context(|| path.display().to_string())?;
        let named = Name {
            lab: self,
            netns: process.identity().netns,
            path,
        };
        let namespace = format!("/proc/{}/ns/net", process.pid());
        mount(
            Some(namespace.as_str()),
            &named.path,
            None::<&str>,
            MsFlags::MS_BIND,
            None::<&str>,
        )
        .context("mount")?;
        self.names.borrow_mut().insert(named.netns, name);
        Ok(named)
    }
}

impl Drop for Name<'_> {
    fn drop(&mut self) {
        // Best effort: what stays behind is a name of a namespace without processes.
        self.lab.names.borrow_mut().remove(&self.netns);
        let _ = umount2(&self.path, MntFlags::MNT_DETACH);
        let _ = fs::remove_file(&self.path);
    }
}
