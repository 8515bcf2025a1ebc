//! The process that carries out a scenario's commands.
//!
//! Its standard input is the control socket, its standard output a spare one, for the child that it may fork.

mod keep;
mod mptcp;
mod process;
mod seccomp;
mod socket;

use std::{
    collections::HashMap,
    io::stdin,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd},
    thread::{self, JoinHandle},
};

use anyhow::{Context, Result, anyhow};
use io_uring::IoUring;
use portwatch::machine::clock::boot_now;

pub use self::{process::raise_loopback, socket::attach_program};
use super::{
    ports::{is_mini_socket, tcp_state},
    protocol::{How, Reply, Request, put, put_fd, take, take_fd},
};

/// Argument that makes the scenario binary an agent.
pub const SUBCOMMAND: &str = "agent";
/// Argument that makes it a process that binds once.
pub const ONCE: &str = "once";
/// Environment variable that makes it an agent whose arguments are those of the program that it stands in for.
pub const STAND_IN: &str = "PORTWATCH_STAND_IN";
/// Option that names a descriptor which an agent has from the program it was before.
pub const KEEP: &str = "--keep";

/// From when on a moment is near, in nanoseconds before it.
const NEAR_NS: u64 = 500_000;

/// Whether this process stands in for another program. What an agent executes later has the argument.
#[must_use]
pub fn is_stand_in() -> bool {
    std::env::var_os(STAND_IN).is_some()
        && std::env::args_os()
            .nth(1)
            .is_none_or(|first| first != SUBCOMMAND)
}

struct Agent {
    sockets: HashMap<RawFd, OwnedFd>,
    rings: Vec<IoUring>,
    /// Closes a socket at its time.
    closing: Option<JoinHandle<Result<()>>>,
}

/// Obeys until the script is gone.
pub fn serve(kept: &[RawFd]) -> Result<()> {
    // SAFETY: the program that this process was before left these descriptors open for this one alone.
    let adopt = |&fd: &RawFd| (fd, unsafe { OwnedFd::from_raw_fd(fd) });
    let mut agent = Agent {
        sockets: kept.iter().map(adopt).collect(),
        rings: Vec::new(),
        closing: None,
    };
    put(stdin(), &Reply::Hello(process::identity()?))?;
    while let Some(request) = take(stdin())? {
        let reply = agent
            .perform(&request)
            .unwrap_or_else(|error| Reply::Failed(format!("{error:#}")));
        put(stdin(), &reply)?;
    }
    Ok(())
}

impl Agent {
    fn perform(&mut self, request: &Request) -> Result<Reply> {
        if let Some(closing) = self.closing.take() {
            let closed = closing.join();
            closed.unwrap_or_else(|_| Err(anyhow!("the thread that closes panicked")))?;
        }
        match request {
            Request::Socket(kind) => match socket::open(*kind)? {
                Some(socket) => Ok(self.keep(socket)),
                None => Ok(Reply::Unsupported(format!("no {kind:?} sockets here"))),
            },
            Request::Set(fd, option) => socket::set(self.socket(*fd)?, *option),
            Request::Bind {
                fd,
                to,
                how,
                then_kill,
            } => socket::bind(self.socket(*fd)?, to, *how, *then_kill),
            Request::BindAt { fd, to, boot_ns } => {
                spin_until(*boot_ns)?;
                socket::bind(self.socket(*fd)?, to, How::Syscall, None)
            }
            Request::Listen(fd, how) => socket::listen(self.socket(*fd)?, *how),
            Request::Connect(fd, to) => socket::connect(self.socket(*fd)?, *to),
            Request::ConnectOnceAllowed(fd, to) => {
                socket::connect_once_allowed(self.socket(*fd)?, *to)
            }
            Request::ConnectInVain(fd, to) => socket::connect_in_vain(self.socket(*fd)?, *to),
            Request::Accept(fd) => Ok(self.keep(socket::accept(self.socket(*fd)?)?)),
            Request::AwaitEof(fd) => socket::await_eof(self.socket(*fd)?),
            Request::Fill(fd) => socket::fill(self.socket(*fd)?),
            Request::Close(fd) => {
                self.sockets.remove(fd).context("no such descriptor")?;
                Ok(Reply::Done)
            }
            Request::CloseAt(fd, boot_ns) => {
                let socket = self.sockets.remove(fd).context("no such descriptor")?;
                let boot_ns = *boot_ns;
                self.closing = Some(thread::spawn(move || {
                    spin_until(boot_ns)?;
                    drop(socket);
                    Ok(())
                }));
                Ok(Reply::Done)
            }
            Request::TcpState(local, remote) => Ok(Reply::TcpState(tcp_state(*local, *remote)?)),
            Request::IsMiniSocket(local, remote) => {
                Ok(Reply::IsMiniSocket(is_mini_socket(*local, *remote)?))
            }
            Request::NewNetns => process::new_netns(),
            Request::AddAddress(addr) => process::add_address(*addr),
            Request::ListenInKernel(at) => mptcp::listen(*at),
            Request::JoinNetns(pid) => process::join_netns(*pid),
            Request::WriteFile(path, text) => {
                std::fs::write(path, text).with_context(|| path.display().to_string())?;
                Ok(Reply::Done)
            }
            Request::SetUid(uid) => process::set_uid(*uid),
            Request::ForbidBind => seccomp::forbid_bind(),
            Request::SetName(name) => process::set_name(name),
            Request::ChangeDirectory(path) => {
                std::env::set_current_dir(path).with_context(|| path.display().to_string())?;
                Ok(Reply::Done)
            }
            Request::ChangeRoot(path) => process::change_root(path),
            Request::ConnectUnix(fd, to) => socket::connect_unix(self.socket(*fd)?, to),
            Request::Pair => {
                let (one, other) = keep::pair()?;
                let pair = Reply::Pair(one.as_raw_fd(), other.as_raw_fd());
                self.keep(one);
                self.keep(other);
                Ok(pair)
            }
            Request::SendFd { through, fd } => {
                keep::send(self.socket(*through)?, self.socket(*fd)?)
            }
            Request::ReceiveFd(through) => Ok(self.keep(keep::receive(self.socket(*through)?)?)),
            Request::Shutdown(fd) => keep::shutdown(self.socket(*fd)?),
            Request::AcceptInThread(fd) => keep::accept_in_thread(*fd),
            Request::AcceptByUring(fd) => {
                let ring = keep::accept_by_uring(*fd)?;
                Ok(self.keep_ring(ring))
            }
            Request::RegisterWithUring(fd) => {
                let ring = keep::register(*fd)?;
                Ok(self.keep_ring(ring))
            }
            Request::CloseRings => {
                self.rings.clear();
                Ok(Reply::Done)
            }
            Request::Fork => process::fork(),
            Request::ForkTwice => process::fork_twice(),
            Request::Give(fd) => {
                put_fd(stdin(), self.socket(*fd)?.as_fd())?;
                Ok(Reply::Done)
            }
            Request::Receive => Ok(self.keep(take_fd(stdin())?)),
            Request::HoldTerm => process::hold_term(),
            Request::SendTerm(pid) => process::send_term(*pid),
            Request::Exec { exe, keep, args } => process::exec(exe, keep, args),
        }
    }

    fn socket(&self, fd: RawFd) -> Result<&OwnedFd> {
        self.sockets
            .get(&fd)
            .with_context(|| format!("no descriptor {fd}"))
    }

    fn keep_ring(&mut self, ring: Option<IoUring>) -> Reply {
        let Some(ring) = ring else {
            return Reply::Unsupported("io_uring cannot do that here".into());
        };
        self.rings.push(ring);
        Reply::Done
    }

    fn keep(&mut self, socket: OwnedFd) -> Reply {
        let fd = socket.as_raw_fd();
        self.sockets.insert(fd, socket);
        Reply::Fd(fd)
    }
}

/// Waits without giving the processor away when the time is near: who is woken up comes late.
fn spin_until(boot_ns: u64) -> Result<()> {
    loop {
        let now = boot_now()?;
        if now >= boot_ns {
            return Ok(());
        }
        if now + NEAR_NS < boot_ns {
            thread::yield_now();
        }
    }
}

/// A process that binds, and ends at once with the errno as its exit code, without a chance to look at it.
pub fn bind_once(addr: std::net::SocketAddr) -> ! {
    let errno = socket::bind_once(addr).unwrap_or(u8::MAX.into());
    // SAFETY: nothing of this process is needed any more.
    unsafe { libc::_exit(errno) }
}
