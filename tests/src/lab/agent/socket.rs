//! What an agent does to its sockets.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
    thread,
    time::Instant,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::{
    errno::Errno,
    sys::{
        signal::{Signal, kill},
        socket::{
            Backlog, SetSockOpt, SockFlag, SockaddrLike, SockaddrStorage, UnixAddr, accept4,
            bind as sys_bind, connect as sys_connect, getsockname, listen as sys_listen, sockopt,
        },
        stat::fstat,
    },
    unistd::{Pid, gettid},
};

use crate::{
    harness::patience,
    lab::{
        protocol::{Attempted, How, Kind, Opt, Reply, Target},
        uring,
    },
};

const BACKLOG: i32 = 64;

/// `None` where the kernel has no such sockets.
pub(super) fn open(kind: Kind) -> Result<Option<OwnedFd>> {
    let (family, sort, protocol) = match kind {
        Kind::Tcp4 => (libc::AF_INET, libc::SOCK_STREAM, 0),
        Kind::Tcp6 => (libc::AF_INET6, libc::SOCK_STREAM, 0),
        Kind::Mptcp4 => (libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_MPTCP),
        Kind::Udp4 => (libc::AF_INET, libc::SOCK_DGRAM, 0),
        Kind::Udp6 => (libc::AF_INET6, libc::SOCK_DGRAM, 0),
        Kind::Ping4 => (libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_ICMP),
        Kind::Unix => (libc::AF_UNIX, libc::SOCK_STREAM, 0),
        Kind::UnixDatagram => (libc::AF_UNIX, libc::SOCK_DGRAM, 0),
    };
    // nix has no name for IPPROTO_MPTCP.
    // SAFETY: the call has no pointers.
    let fd = unsafe { libc::socket(family, sort | libc::SOCK_CLOEXEC, protocol) };
    match Errno::result(fd) {
        // SAFETY: the descriptor is new and nobody else's.
        Ok(fd) => Ok(Some(unsafe { OwnedFd::from_raw_fd(fd) })),
        Err(Errno::EAFNOSUPPORT | Errno::EPROTONOSUPPORT | Errno::ENOPROTOOPT) => Ok(None),
        Err(errno) => Err(errno).context("socket"),
    }
}

pub(super) fn bind_once(to: SocketAddr) -> Result<i32> {
    let kind = if to.is_ipv4() { Kind::Tcp4 } else { Kind::Tcp6 };
    let socket = open(kind)?.context("no such sockets")?;
    let outcome = sys_bind(socket.as_raw_fd(), &SockaddrStorage::from(to));
    Ok(outcome.err().map_or(0, |errno| errno as i32))
}

pub(super) fn set(socket: &OwnedFd, option: Opt) -> Result<Reply> {
    match option {
        Opt::ReuseAddr(on) => sockopt::ReuseAddr.set(socket, &on),
        Opt::ReusePort(on) => sockopt::ReusePort.set(socket, &on),
        Opt::ReusePortProgram => attach_program(socket),
        Opt::V6Only(on) => sockopt::Ipv6V6Only.set(socket, &on),
        Opt::ResetOnClose => sockopt::Linger.set(
            socket,
            &libc::linger {
                l_onoff: 1,
                l_linger: 0,
            },
        ),
        Opt::ReceiveBuffer(bytes) => sockopt::RcvBuf.set(socket, &bytes),
    }
    .with_context(|| format!("{option:?}"))?;
    Ok(Reply::Done)
}

/// Gives a socket a BPF program that chooses the member of its reuseport group.
pub fn attach_program(socket: &OwnedFd) -> nix::Result<()> {
    // BPF_RET | BPF_K with 0: the first socket of the group.
    let mut program = [libc::sock_filter {
        code: 0x06,
        jt: 0,
        jf: 0,
        k: 0,
    }];
    let value = libc::sock_fprog {
        len: 1,
        filter: program.as_mut_ptr(),
    };
    sockopt::AttachReusePortCbpf.set(socket, &value)
}

pub(super) fn bind(
    socket: &OwnedFd,
    to: &Target,
    how: How,
    then_kill: Option<i32>,
) -> Result<Reply> {
    let address = sockaddr(to)?;
    let address = &*address;
    let fd = socket.as_raw_fd();
    let syscall = || sys_bind(fd, address).err().map_or(0, |errno| errno as i32);
    let (errno, tid) = match how {
        How::Syscall => (Some(syscall()), own_tid()),
        How::Thread => in_thread(|| sys_bind(fd, &*sockaddr(to)?).map_err(Into::into))?,
        How::Uring => (
            uring::call(fd, &uring::Call::Bind(address), false)?,
            own_tid(),
        ),
        How::UringWorker => (uring::call(fd, &uring::Call::Bind(address), true)?, None),
    };
    if let Some(pid) = then_kill {
        kill(Pid::from_raw(pid), Signal::SIGKILL).context("kill")?;
    }
    attempted(socket, errno, tid)
}

pub(super) fn listen(socket: &OwnedFd, how: How) -> Result<Reply> {
    let backlog = Backlog::new(BACKLOG)?;
    let fd = socket.as_raw_fd();
    let (errno, tid) = match how {
        How::Syscall => {
            let errno = sys_listen(socket, backlog)
                .err()
                .map_or(0, |errno| errno as i32);
            (Some(errno), own_tid())
        }
        How::Thread => in_thread(|| sys_listen(socket, backlog).map_err(Into::into))?,
        How::Uring => (
            uring::call(fd, &uring::Call::Listen(BACKLOG), false)?,
            own_tid(),
        ),
        How::UringWorker => (uring::call(fd, &uring::Call::Listen(BACKLOG), true)?, None),
    };
    attempted(socket, errno, tid)
}

/// Makes the call in another thread. The thread has ended when this returns.
fn in_thread(call: impl FnOnce() -> Result<()> + Send) -> Result<(Option<i32>, Option<u32>)> {
    thread::scope(|scope| {
        let caller = scope.spawn(|| (call(), own_tid()));
        let (outcome, tid) = caller.join().map_err(|_| anyhow!("the thread panicked"))?;
        let errno = match outcome {
            Ok(()) => 0,
            Err(error) => *error.downcast_ref::<Errno>().context("not a system call")? as i32,
        };
        Ok((Some(errno), tid))
    })
}

fn own_tid() -> Option<u32> {
    u32::try_from(gettid().as_raw()).ok()
}

/// `errno` is `None` where the kernel has no such call.
fn attempted(socket: &OwnedFd, errno: Option<i32>, tid: Option<u32>) -> Result<Reply> {
    let Some(errno) = errno else {
        return Ok(Reply::Unsupported(
            "io_uring cannot bind and listen here".into(),
        ));
    };
    let bound_port = local_port(socket)?;
    let inode = fstat(socket).context("fstat")?.st_ino;
    Ok(Reply::Attempted(Attempted {
        errno,
        bound_port,
        tid,
        inode,
    }))
}

fn local_port(socket: &OwnedFd) -> Result<Option<u16>> {
    let name: SockaddrStorage = getsockname(socket.as_raw_fd()).context("getsockname")?;
    let v4 = name
        .as_sockaddr_in()
        .map(nix::sys::socket::SockaddrIn::port);
    Ok(v4.or_else(|| {
        name.as_sockaddr_in6()
            .map(nix::sys::socket::SockaddrIn6::port)
    }))
}

fn sockaddr(target: &Target) -> Result<Box<dyn SockaddrLike>> {
    Ok(match target {
        Target::Ip(addr) => Box::new(SockaddrStorage::from(*addr)),
        Target::Path(path) => Box::new(UnixAddr::new(path)?),
        Target::Abstract(name) => Box::new(UnixAddr::new_abstract(name.as_bytes())?),
    })
}

pub(super) fn connect(socket: &OwnedFd, to: SocketAddr) -> Result<Reply> {
    sys_connect(socket.as_raw_fd(), &SockaddrStorage::from(to)).context("connect")?;
    connected(socket)
}

pub(super) fn connect_unix(socket: &OwnedFd, to: &Target) -> Result<Reply> {
    sys_connect(socket.as_raw_fd(), &*sockaddr(to)?).context("connect")?;
    Ok(Reply::Done)
}

/// There is no event to wait for: a mini-socket blocks the address until it is a second old.
pub(super) fn connect_once_allowed(socket: &OwnedFd, to: SocketAddr) -> Result<Reply> {
    let deadline = Instant::now() + patience();
    while let Err(errno) = sys_connect(socket.as_raw_fd(), &SockaddrStorage::from(to)) {
        ensure!(
            errno == Errno::EADDRNOTAVAIL && Instant::now() < deadline,
            "connect: {errno}"
        );
        thread::yield_now();
    }
    connected(socket)
}

pub(super) fn connect_in_vain(socket: &OwnedFd, to: SocketAddr) -> Result<Reply> {
    match sys_connect(socket.as_raw_fd(), &SockaddrStorage::from(to)) {
        Err(Errno::ECONNREFUSED) => Ok(Reply::Done),
        outcome => bail!("connect: {outcome:?}, and not ECONNREFUSED"),
    }
}

fn connected(socket: &OwnedFd) -> Result<Reply> {
    Ok(Reply::Connected(
        local_port(socket)?.context("connected without a port")?,
    ))
}

pub(super) fn accept(socket: &OwnedFd) -> Result<OwnedFd> {
    accept4(socket, SockFlag::SOCK_CLOEXEC).context("accept")
}

fn stream(socket: &OwnedFd) -> Result<TcpStream> {
    Ok(TcpStream::from(socket.as_fd().try_clone_to_owned()?))
}

pub(super) fn await_eof(socket: &OwnedFd) -> Result<Reply> {
    let mut stream = stream(socket)?;
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).context("read")? > 0 {}
    Ok(Reply::Done)
}

pub(super) fn fill(socket: &OwnedFd) -> Result<Reply> {
    let mut stream = stream(socket)?;
    stream.set_nonblocking(true)?;
    let block = vec![0; 64 * 1024];
    loop {
        match stream.write(&block) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Reply::Done),
            Err(error) => return Err(error).context("write"),
        }
    }
}
