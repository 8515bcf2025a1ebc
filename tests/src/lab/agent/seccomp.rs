//! A seccomp filter that an agent puts on itself, as a sandbox does.

use anyhow::{Context, Result};
use nix::{errno::Errno, sys::prctl};

use crate::lab::protocol::Reply;

/// `BPF_LD | BPF_W | BPF_ABS`.
const LOAD: u16 = 0x20;
/// `BPF_JMP | BPF_JEQ | BPF_K`.
const JUMP_IF_EQUAL: u16 = 0x15;
/// `BPF_RET | BPF_K`.
const RETURN: u16 = 0x06;

/// `bind()` gives `EACCES` from now on. There is no way back.
pub(super) fn forbid_bind() -> Result<Reply> {
    let step = |code, jt, k| libc::sock_filter { code, jt, jf: 0, k };
    let mut program = [
        // `nr` is the first member of `struct seccomp_data`.
        step(LOAD, 0, 0),
        // Skips what allows.
        step(JUMP_IF_EQUAL, 1, libc::SYS_bind as u32),
        step(RETURN, 0, libc::SECCOMP_RET_ALLOW),
        step(
            RETURN,
            0,
            libc::SECCOMP_RET_ERRNO | libc::EACCES.cast_unsigned(),
        ),
    ];
    let filter = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    prctl::set_no_new_privs().context("PR_SET_NO_NEW_PRIVS")?;
    // SAFETY: the filter and its program outlive the call, which copies them.
    let outcome = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            0,
            &raw const filter,
        )
    };
    match Errno::result(outcome) {
        Ok(_) => Ok(Reply::Done),
        Err(Errno::ENOSYS | Errno::EINVAL) => {
            Ok(Reply::Unsupported("no seccomp filters here".into()))
        }
        Err(errno) => Err(errno).context("seccomp"),
    }
}
