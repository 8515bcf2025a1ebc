//! Batches of binds, timed.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::{AsRawFd, OwnedFd},
    time::Instant,
};

use anyhow::{Result, ensure};
use nix::{
    errno::Errno,
    sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket},
};

/// The first of the ports to which nobody is bound.
const FREE: u16 = 20_000;
/// The port of a listener.
pub(super) const TAKEN: u16 = 22_000;

fn address(port: u16) -> SockaddrIn {
    SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
}

fn open() -> nix::Result<OwnedFd> {
    socket(
        AddressFamily::Inet,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )
}

/// A connection to [`TAKEN`] from this address.
pub(super) fn connect_from(from: Ipv4Addr) -> Result<OwnedFd> {
    let socket = open()?;
    bind(
        socket.as_raw_fd(),
        &SockaddrIn::from(SocketAddrV4::new(from, 0)),
    )?;
    connect(socket.as_raw_fd(), &address(TAKEN))?;
    Ok(socket)
}

/// Nanoseconds of each of so many.
pub(super) fn each(began: Instant, n: usize) -> f64 {
    began.elapsed().as_nanos() as f64 / n as f64
}

/// Nanoseconds of `socket()`, `bind()`, `close()`.
pub(super) fn binds(n: usize) -> Result<f64> {
    let to = address(FREE);
    let began = Instant::now();
    for _ in 0..n {
        bind(open()?.as_raw_fd(), &to)?;
    }
    Ok(each(began, n))
}

/// Nanoseconds of `bind()`. Each socket is bound once, to a port of its own.
pub(super) fn binds_alone(n: usize) -> Result<f64> {
    let sockets: Vec<(OwnedFd, SockaddrIn)> = (FREE..)
        .take(n)
        .map(|port| Ok((open()?, address(port))))
        .collect::<Result<_>>()?;
    let began = Instant::now();
    for (socket, to) in &sockets {
        bind(socket.as_raw_fd(), to)?;
    }
    Ok(each(began, n))
}

fn refused(outcome: nix::Result<()>) -> Result<()> {
    ensure!(
        outcome == Err(Errno::EADDRINUSE),
        "bind to the taken port: {outcome:?}"
    );
    Ok(())
}

/// Nanoseconds of `socket()`, a `bind()` that fails, `close()`.
pub(super) fn refusals(n: usize) -> Result<f64> {
    let to = address(TAKEN);
    let began = Instant::now();
    for _ in 0..n {
        refused(bind(open()?.as_raw_fd(), &to))?;
    }
    Ok(each(began, n))
}

/// Nanoseconds of a `bind()` that fails.
pub(super) fn refusals_alone(n: usize) -> Result<f64> {
    let to = address(TAKEN);
    let socket = open()?;
    let began = Instant::now();
    for _ in 0..n {
        refused(bind(socket.as_raw_fd(), &to))?;
    }
    Ok(each(began, n))
}
