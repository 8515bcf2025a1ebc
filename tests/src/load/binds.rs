//! Very many binds.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, listen, socket,
    },
};
use serde::{Deserialize, Serialize};
use std::os::fd::AsRawFd;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Process id.
    pub pid: u32,
    /// Binds that succeeded, one to hold the port included.
    pub ok: u64,
    /// Binds that failed with `EADDRINUSE`.
    pub failed: u64,
    /// Listens: all that hold the port.
    pub listens: u64,
}

/// Binds to `free` and closes, `ok` times; and binds to `taken`, where this process listens, `fail` times.
pub fn run(free: SocketAddr, taken: SocketAddr, ok: u64, fail: u64) -> Result<Load> {
    let open = || {
        socket(
            AddressFamily::Inet,
            SockType::Stream,
            SockFlag::SOCK_CLOEXEC,
            None,
        )
    };
    let (free, taken) = (SockaddrStorage::from(free), SockaddrStorage::from(taken));
    let holder = open()?;
    bind(holder.as_raw_fd(), &taken).context("the port to be taken")?;
    listen(&holder, Backlog::new(1)?)?;
    for _ in 0..ok {
        bind(open()?.as_raw_fd(), &free).context("the free port")?;
    }
    for _ in 0..fail {
        let outcome = bind(open()?.as_raw_fd(), &taken);
        ensure!(
            outcome == Err(Errno::EADDRINUSE),
            "the taken port: {outcome:?}"
        );
    }
    Ok(Load {
        pid: std::process::id(),
        ok: ok + 1,
        failed: fail,
        listens: 1,
    })
}
