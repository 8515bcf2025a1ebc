//! Waiting for what becomes of files.

use std::{
    os::fd::AsFd,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::inotify::{AddWatchFlags, InitFlags, Inotify},
};

use super::patience;

/// Waits until something is so that can only change when a file of this directory does.
pub fn wait_for_files(directory: &Path, what: &str, mut is_so: impl FnMut() -> bool) -> Result<()> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    let changes = AddWatchFlags::IN_MODIFY
        | AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_MOVE;
    // Before the first look, so that no change falls between.
    inotify
        .add_watch(directory, changes)
        .with_context(|| directory.display().to_string())?;
    let deadline = Instant::now() + patience();
    while !is_so() {
        let left = deadline.saturating_duration_since(Instant::now());
        ensure!(!left.is_zero(), "no {what}");
        await_change(&inotify, left)?;
    }
    Ok(())
}

fn await_change(inotify: &Inotify, limit: Duration) -> Result<()> {
    let mut ready = [PollFd::new(inotify.as_fd(), PollFlags::POLLIN)];
    let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
    match poll(&mut ready, limit) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => return Err(error.into()),
    }
    match inotify.read_events() {
        Ok(_) | Err(Errno::EAGAIN) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
