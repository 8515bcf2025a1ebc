//! What is done to the sockets.

use std::{
    io::Read,
    net::{IpAddr, SocketAddr, TcpStream},
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use anyhow::{Context, Result, bail, ensure};
use libc::c_int;
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    sys::{
        socket::{
            AddressFamily, Backlog, MsgFlags, SetSockOpt, Shutdown, SockFlag, SockType,
            SockaddrStorage, accept4, getsockname, send, shutdown, sockopt,
        },
        time::{TimeVal, TimeValLike},
    },
    unistd::{Uid, setfsuid},
};
use portwatch_core::verdict::rule::Transport;

use super::pair::{Device, Plan};
use crate::{
    harness::patience,
    lab::{agent::attach_program, ports::await_state},
};

/// `include/uapi/asm-generic/socket.h`; `SO_BINDTODEVICE` by number.
const SO_BINDTOIFINDEX: c_int = 62;

/// What the kernel said to a call that asks for a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The port is the caller's.
    Granted,
    /// `EADDRINUSE`.
    Refused,
}

fn answer(outcome: nix::Result<()>) -> nix::Result<Answer> {
    match outcome {
        Ok(()) => Ok(Answer::Granted),
        Err(Errno::EADDRINUSE) => Ok(Answer::Refused),
        Err(errno) => Err(errno),
    }
}

/// Root does something as a user, as far as files and sockets are concerned. This thread alone.
pub(super) fn as_user<T>(uid: u32, action: impl FnOnce() -> T) -> T {
    if uid == 0 {
        return action();
    }
    setfsuid(Uid::from_raw(uid));
    let result = action();
    setfsuid(Uid::from_raw(0));
    result
}

/// Makes a socket as it is planned, without binding it.
pub(super) fn open(transport: Transport, plan: &Plan) -> Result<OwnedFd> {
    let family = match plan.addr {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    let sort = match transport {
        Transport::Tcp => SockType::Stream,
        Transport::Udp => SockType::Datagram,
    };
    let socket = as_user(plan.uid, || {
        nix::sys::socket::socket(family, sort, SockFlag::SOCK_CLOEXEC, None)
    })
    .context("socket")?;
    if plan.addr.is_ipv6() {
        // Set in any case: net.ipv6.bindv6only is the default.
        sockopt::Ipv6V6Only.set(&socket, &plan.v6only)?;
    }
    match plan.reuse {
        0 => {}
        1 => set_reuseaddr(&socket, true)?,
        _ => set(&socket, libc::IPPROTO_TCP, libc::TCP_REPAIR, 1).context("TCP_REPAIR")?,
    }
    if plan.reuseport {
        set_reuseport(&socket, true)?;
    }
    if plan.device != Device::None {
        let index = plan.device.index().cast_signed();
        set(&socket, libc::SOL_SOCKET, SO_BINDTOIFINDEX, index).context("SO_BINDTOIFINDEX")?;
    }
    if plan.program {
        attach_program(&socket).context("reuseport program")?;
    }
    Ok(socket)
}

pub(super) fn set_reuseaddr(socket: &impl AsFd, on: bool) -> Result<()> {
    sockopt::ReuseAddr.set(socket, &on).context("SO_REUSEADDR")
}

pub(super) fn set_reuseport(socket: &impl AsFd, on: bool) -> Result<()> {
    sockopt::ReusePort.set(socket, &on).context("SO_REUSEPORT")
}

/// `bind()` to port 0 leaves the port to `connect()`.
pub(super) fn leave_port_to_connect(socket: &impl AsFd) -> Result<()> {
    set(socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)
        .context("IP_BIND_ADDRESS_NO_PORT")
}

/// An acknowledgement that waits is sent at once.
pub(super) fn acknowledge(socket: &impl AsFd) -> Result<()> {
    set(socket, libc::IPPROTO_TCP, libc::TCP_QUICKACK, 1).context("TCP_QUICKACK")
}

fn set(socket: &impl AsFd, level: c_int, name: c_int, value: c_int) -> nix::Result<()> {
    let socket = socket.as_fd().as_raw_fd();
    // SAFETY: the kernel reads the value, whose size is given.
    let outcome = unsafe {
        libc::setsockopt(
            socket,
            level,
            name,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    Errno::result(outcome).map(drop)
}

pub(super) fn bind(socket: &OwnedFd, addr: IpAddr, port: u16) -> Result<Answer> {
    let to = SockaddrStorage::from(SocketAddr::new(addr, port));
    answer(nix::sys::socket::bind(socket.as_raw_fd(), &to))
        .with_context(|| format!("bind to {addr}"))
}

pub(super) fn listen(socket: &OwnedFd) -> Result<Answer> {
    answer(nix::sys::socket::listen(socket, Backlog::MAXCONN)).context("listen")
}

/// Binds where nothing can conflict.
pub(super) fn claim(socket: &OwnedFd, addr: IpAddr, port: u16) -> Result<()> {
    ensure!(
        bind(socket, addr, port)? == Answer::Granted,
        "{addr}, port {port}: not free"
    );
    Ok(())
}

/// Listens where nothing can conflict.
pub(super) fn serve(socket: &OwnedFd) -> Result<()> {
    ensure!(listen(socket)? == Answer::Granted, "cannot listen");
    // accept() must not wait for ever if the connection is not there.
    sockopt::ReceiveTimeout.set(socket, &limit())?;
    Ok(())
}

/// Shuts both sides of a socket down.
pub(super) fn stop(socket: &OwnedFd) -> Result<()> {
    shutdown(socket.as_raw_fd(), Shutdown::Both).context("shutdown")
}

fn limit() -> TimeVal {
    TimeVal::milliseconds(patience().as_millis() as i64)
}

pub(super) fn accept(listener: &OwnedFd) -> Result<OwnedFd> {
    accept4(listener, SockFlag::SOCK_CLOEXEC).context("accept")
}

pub(super) fn connect(socket: &OwnedFd, to: SocketAddr) -> Result<()> {
    nix::sys::socket::connect(socket.as_raw_fd(), &SockaddrStorage::from(to))
        .with_context(|| format!("connect to {to}"))
}

/// Sends the first segment, and waits for nothing.
pub(super) fn begin_to_connect(socket: &OwnedFd, to: SocketAddr) -> Result<()> {
    fcntl(socket, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).context("F_SETFL")?;
    match nix::sys::socket::connect(socket.as_raw_fd(), &SockaddrStorage::from(to)) {
        Err(Errno::EINPROGRESS) => Ok(()),
        outcome => bail!("connect to {to}: {outcome:?}"),
    }
}

/// Where a socket is bound.
pub(super) fn local(socket: &impl AsFd) -> Result<SocketAddr> {
    let name: SockaddrStorage = getsockname(socket.as_fd().as_raw_fd()).context("getsockname")?;
    let v4 = name
        .as_sockaddr_in()
        .map(|name| SocketAddr::new(name.ip().into(), name.port()));
    v4.or_else(|| {
        let name = name.as_sockaddr_in6()?;
        Some(SocketAddr::new(name.ip().into(), name.port()))
    })
    .context("not an Internet address")
}

/// Waits until the peer has closed its side.
pub(super) fn await_end(stream: &mut TcpStream) -> Result<()> {
    stream.set_read_timeout(Some(patience()))?;
    let read = stream.read(&mut [0; 1]).context("read")?;
    ensure!(read == 0, "data instead of the end");
    Ok(())
}

/// Waits until an open connection is in this state, as the kernel numbers it.
pub(super) fn await_tcp(stream: &TcpStream, wanted: u8) -> Result<()> {
    await_state(Some(wanted), || tcp_state(stream).map(Some))
}

fn tcp_state(stream: &TcpStream) -> Result<u8> {
    // The first member of `struct tcp_info`. The kernel fills in as much as there is room for.
    let mut state = 0_u8;
    let mut size = size_of_val(&state) as libc::socklen_t;
    // SAFETY: the kernel writes to the state, whose size is given.
    let outcome = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut state).cast(),
            &raw mut size,
        )
    };
    Errno::result(outcome).context("TCP_INFO")?;
    Ok(state)
}

/// Sends more than the peer has room for.
pub(super) fn fill(stream: &TcpStream, peer: &TcpStream) -> Result<()> {
    const BLOCK: &[u8] = &[0; 64 * 1024];
    // Its room does not grow any more: at most one block has been promised.
    sockopt::RcvBuf.set(peer, &0).context("SO_RCVBUF")?;
    let mut left = 4 * BLOCK.len();
    while left > 0 {
        left -= send(stream.as_raw_fd(), BLOCK, MsgFlags::MSG_DONTWAIT)
            .context("send")?
            .min(left);
    }
    Ok(())
}
