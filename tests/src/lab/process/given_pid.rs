//! A process with a pid of the script's choice.

use std::{
    ffi::CString,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
    ptr,
};

use anyhow::{Context, Result};
use nix::errno::Errno;

use crate::lab::{Skip, agent};

/// Starts an agent with this pid (`clone3()` with `set_tid`).
pub(super) fn start(program: &Path, pid: u32, control: &OwnedFd, spare: &OwnedFd) -> Result<()> {
    let path = CString::new(program.as_os_str().as_bytes())?;
    let argument = CString::new(agent::SUBCOMMAND)?;
    let arguments = [path.as_ptr(), argument.as_ptr(), ptr::null()];
    let wanted = pid.cast_signed();
    // SAFETY: all-zero bytes are valid arguments.
    let mut clone: libc::clone_args = unsafe { std::mem::zeroed() };
    clone.exit_signal = libc::SIGCHLD.cast_unsigned().into();
    clone.set_tid = ptr::from_ref(&wanted) as u64;
    clone.set_tid_size = 1;
    // SAFETY: without CLONE_VM this is a fork; the arguments live until it returns.
    let outcome = unsafe { libc::syscall(libc::SYS_clone3, &raw mut clone, size_of_val(&clone)) };
    if outcome == 0 {
        // SAFETY: between fork and exec nothing but system calls; what they point to was made before.
        unsafe {
            libc::dup2(control.as_raw_fd(), 0);
            libc::dup2(spare.as_raw_fd(), 1);
            libc::execv(path.as_ptr(), arguments.as_ptr());
            libc::_exit(127);
        }
    }
    match Errno::result(outcome) {
        Ok(_) => Ok(()),
        Err(errno @ (Errno::ENOSYS | Errno::EPERM | Errno::EEXIST)) => {
            Err(Skip(format!("no process can be given a pid: {errno}")).into())
        }
        Err(errno) => Err(errno).context("clone3"),
    }
}
