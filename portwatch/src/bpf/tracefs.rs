//! tracefs, which gives tracepoints their numbers. Where it is not mounted, it is mounted for one thread only.

use std::{fs, io, path::Path, thread};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};

use super::error::BpfError;

/// Places where tracefs can be mounted.
const PLACES: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// Where tracefs is mounted; `None` if it is not, or if that cannot be seen without privileges.
#[must_use]
pub fn mounted() -> Option<&'static str> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let is_mounted = |place: &&str| {
        let mut mounts = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        mounts.any(|point| point == *place) || Path::new(place).join("events").exists()
    };
    PLACES.into_iter().find(is_mounted)
}

/// Runs `work` where tracefs can be seen.
///
/// If it is not mounted, a thread of its own mounts it in a mount namespace of its own, which is gone when `work` is
/// done: nothing on the system changes, and no command that is run later sees it.
///
/// # Errors
///
/// If it cannot be mounted either.
pub fn with<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, BpfError> {
    if mounted().is_some() {
        return Ok(work());
    }
    let private = || -> io::Result<T> {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let nothing: Option<&str> = None;
        mount(
            nothing,
            "/",
            nothing,
            MsFlags::MS_REC | MsFlags::MS_PRIVATE,
            nothing,
        )?;
        mount(
            Some("tracefs"),
            PLACES[0],
            Some("tracefs"),
            MsFlags::empty(),
            nothing,
        )?;
        Ok(work())
    };
    thread::scope(|scope| scope.spawn(private).join())
        .unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
        .map_err(|source| BpfError::NoTracefs { source })
}
