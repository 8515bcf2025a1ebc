//! `bind()` and `listen()` through `io_uring`.

use std::os::fd::RawFd;

use anyhow::{Context, Result};
use io_uring::{IoUring, Probe, opcode, squeue, types};
use nix::sys::socket::SockaddrLike;

/// What can be asked for.
pub(crate) enum Call<'a> {
    /// `IORING_OP_BIND`.
    Bind(&'a dyn SockaddrLike),
    /// `IORING_OP_LISTEN`, with a backlog.
    Listen(i32),
}

/// Makes the call and waits for it; `None` where this kernel cannot. Gives 0 or the errno.
pub(crate) fn call(fd: RawFd, call: &Call<'_>, by_worker: bool) -> Result<Option<i32>> {
    let Ok(mut ring) = IoUring::new(4) else {
        return Ok(None);
    };
    let mut probe = Probe::new();
    ring.submitter()
        .register_probe(&mut probe)
        .context("io_uring probe")?;
    let (code, entry) = match call {
        Call::Bind(address) => {
            let bind = opcode::Bind::new(types::Fd(fd), address.as_ptr(), address.len());
            (opcode::Bind::CODE, bind.build())
        }
        Call::Listen(backlog) => (
            opcode::Listen::CODE,
            opcode::Listen::new(types::Fd(fd), *backlog).build(),
        ),
    };
    if !probe.is_supported(code) {
        return Ok(None);
    }
    let flags = if by_worker {
        squeue::Flags::ASYNC
    } else {
        squeue::Flags::empty()
    };
    // SAFETY: the address that the entry points to outlives this function, which waits for the completion.
    unsafe { ring.submission().push(&entry.flags(flags)) }.context("io_uring is full")?;
    ring.submit_and_wait(1).context("io_uring submission")?;
    let completion = ring.completion().next().context("no io_uring completion")?;
    Ok(Some(-completion.result()))
}
