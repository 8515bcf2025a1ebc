//! What a script and its processes say to each other: one message a packet of a `SOCK_SEQPACKET` pair.

use std::{
    io::{IoSlice, IoSliceMut},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    path::PathBuf,
};

use anyhow::{Context, Result, bail, ensure};
use nix::{
    cmsg_space,
    sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recv, recvmsg, send, sendmsg},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Longest message, in bytes.
const MESSAGE_LEN: usize = 64 * 1024;

/// Which kind of socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    Tcp4,
    Tcp6,
    Mptcp4,
    Udp4,
    Udp6,
    /// ICMP echo, for programs without privileges: the "port" is the identifier of the echo.
    Ping4,
    Unix,
    UnixDatagram,
}

impl Kind {
    /// As records spell the protocol.
    #[must_use]
    pub const fn proto(self) -> &'static str {
        match self {
            Self::Tcp4 | Self::Tcp6 => "tcp",
            Self::Mptcp4 => "mptcp",
            Self::Udp4 | Self::Udp6 => "udp",
            Self::Ping4 => "icmp",
            Self::Unix | Self::UnixDatagram => "unix",
        }
    }
}

/// A socket option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Opt {
    /// `SO_REUSEADDR`.
    ReuseAddr(bool),
    /// `SO_REUSEPORT`.
    ReusePort(bool),
    /// `SO_ATTACH_REUSEPORT_CBPF`, with a program that chooses the first socket of the group.
    ReusePortProgram,
    /// `IPV6_V6ONLY`.
    V6Only(bool),
    /// `SO_LINGER` of 0 s: `close()` sends a reset, and nothing stays behind.
    ResetOnClose,
    /// `SO_RCVBUF`, in bytes.
    ReceiveBuffer(usize),
}

/// Where to bind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// An IP address and port.
    Ip(SocketAddr),
    /// A path of the file system.
    Path(PathBuf),
    /// A name in the abstract unix namespace.
    Abstract(String),
}

impl From<SocketAddr> for Target {
    fn from(addr: SocketAddr) -> Self {
        Self::Ip(addr)
    }
}

/// How to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    /// The system call, in the leader thread.
    Syscall,
    /// The system call, in another thread.
    Thread,
    /// `io_uring`, completed before the submission returns.
    Uring,
    /// `io_uring`, by a worker thread of the kernel.
    UringWorker,
}

/// What a process is asked to do. Descriptors are its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Request {
    /// Makes a socket.
    Socket(Kind),
    /// Sets an option.
    Set(RawFd, Opt),
    /// Binds.
    Bind {
        /// The socket.
        fd: RawFd,
        /// Where to.
        to: Target,
        /// How.
        how: How,
        /// A process to kill as soon as the call has returned.
        then_kill: Option<i32>,
    },
    /// Binds at a moment of the boot clock.
    BindAt {
        /// The socket.
        fd: RawFd,
        /// Where to.
        to: Target,
        /// When, in nanoseconds.
        boot_ns: u64,
    },
    /// Listens.
    Listen(RawFd, How),
    /// Connects.
    Connect(RawFd, SocketAddr),
    /// Tries to connect until the kernel allows it: for as long as it says that the address is not available.
    ConnectOnceAllowed(RawFd, SocketAddr),
    /// Connects where nobody listens.
    ConnectInVain(RawFd, SocketAddr),
    /// Accepts.
    Accept(RawFd),
    /// Reads until the peer has closed.
    AwaitEof(RawFd),
    /// Writes until there is no room.
    Fill(RawFd),
    /// Closes.
    Close(RawFd),
    /// Closes at this moment of the boot clock, in nanoseconds, and answers before. What is asked for next waits for it.
    CloseAt(RawFd, u64),
    /// Reads the state of a TCP connection of this network namespace, by local and remote port.
    TcpState(u16, u16),
    /// Whether such a connection is a mini-socket.
    IsMiniSocket(u16, u16),
    /// Moves to a network namespace of its own, with `lo` up.
    NewNetns,
    /// Gives `lo` one more address.
    AddAddress(Ipv4Addr),
    /// Has the kernel itself listen, for Multipath TCP.
    ListenInKernel(SocketAddrV4),
    /// Moves to the network namespace of a process.
    JoinNetns(u32),
    /// Writes a file, such as a setting below `/proc/sys`.
    WriteFile(PathBuf, String),
    /// Becomes another user for good, without capabilities.
    SetUid(u32),
    /// Has a seccomp filter answer every `bind()` of its from now on, with `EACCES`.
    ForbidBind,
    /// Sets the name of the thread (`PR_SET_NAME`).
    SetName(Vec<u8>),
    /// Changes its working directory.
    ChangeDirectory(PathBuf),
    /// Changes its root.
    ChangeRoot(PathBuf),
    /// Connects to a name of the unix family.
    ConnectUnix(RawFd, Target),
    /// Makes a pair of unix sockets.
    Pair,
    /// Sends a descriptor through a unix socket (`SCM_RIGHTS`).
    SendFd {
        /// Through which one.
        through: RawFd,
        /// Which one.
        fd: RawFd,
    },
    /// Receives a descriptor.
    ReceiveFd(RawFd),
    /// Ends both directions.
    Shutdown(RawFd),
    /// Waits for a connection in another thread, and answers when that sleeps in its call.
    AcceptInThread(RawFd),
    /// Waits for a connection through `io_uring`, and answers when the request is under way.
    AcceptByUring(RawFd),
    /// Registers a descriptor with an `io_uring`.
    RegisterWithUring(RawFd),
    /// Closes every `io_uring`.
    CloseRings,
    /// Forks. The child has the same descriptors and listens to the spare control socket.
    Fork,
    /// Forks a child that forks another one and ends. That one has the same descriptors and listens to the spare control
    /// socket.
    ForkTwice,
    /// Hands a descriptor over to the script, in a message before the answer.
    Give(RawFd),
    /// Takes a descriptor that comes in the next message.
    Receive,
    /// Keeps `SIGTERM` pending from now on.
    HoldTerm,
    /// Sends `SIGTERM` to a process.
    SendTerm(i32),
    /// Executes a program that goes on as this process, and says hello again.
    Exec {
        /// The program.
        exe: PathBuf,
        /// Descriptors to keep.
        keep: Vec<RawFd>,
        /// More arguments, which mean nothing.
        args: Vec<Vec<u8>>,
    },
}

/// Who a process is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Process id.
    pub pid: u32,
    /// Real user id.
    pub uid: u32,
    /// Inode of its network namespace.
    pub netns: u64,
    /// Name of its leader thread.
    pub comm: Vec<u8>,
    /// Its executable.
    pub exe: PathBuf,
    /// Its arguments.
    pub cmdline: Vec<Vec<u8>>,
}

/// What came of a bind or listen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempted {
    /// 0, or the errno.
    pub errno: i32,
    /// Port of the socket afterwards; `None` for the unix family.
    pub bound_port: Option<u16>,
    /// The calling thread; `None` when it was one of the kernel's own.
    pub tid: Option<u32>,
    /// Inode of the socket.
    pub inode: u64,
}

/// What a process answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Reply {
    /// The first message, and the answer to what changes who the process is.
    Hello(Identity),
    /// It is done.
    Done,
    /// A descriptor of its own.
    Fd(RawFd),
    /// Two descriptors of its own.
    Pair(RawFd, RawFd),
    /// A thread of its own.
    Thread(u32),
    /// A bind or listen has ended, whichever way.
    Attempted(Attempted),
    /// It is connected, from this port.
    Connected(u16),
    /// State of a connection, as `/proc/net/tcp` numbers it; `None` without one.
    TcpState(Option<u8>),
    /// Whether it is a mini-socket.
    IsMiniSocket(bool),
    /// The kernel cannot do this.
    Unsupported(String),
    /// It went wrong.
    Failed(String),
}

/// Sends a message.
pub fn put<M: Serialize>(control: impl AsFd, message: &M) -> Result<()> {
    let bytes = serde_json::to_vec(message)?;
    ensure!(
        bytes.len() <= MESSAGE_LEN,
        "message of {} bytes",
        bytes.len()
    );
    send(control.as_fd().as_raw_fd(), &bytes, MsgFlags::MSG_NOSIGNAL).context("send")?;
    Ok(())
}

/// Receives a message; `None` when the other end is gone.
pub fn take<M: DeserializeOwned>(control: impl AsFd) -> Result<Option<M>> {
    let mut bytes = vec![0; MESSAGE_LEN];
    let len =
        recv(control.as_fd().as_raw_fd(), &mut bytes, MsgFlags::empty()).context("receive")?;
    if len == 0 {
        return Ok(None);
    }
    serde_json::from_slice(&bytes[..len])
        .map(Some)
        .context("not a message")
}

/// Sends a descriptor.
pub fn put_fd(control: impl AsFd, fd: BorrowedFd<'_>) -> Result<()> {
    let fds = [fd.as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&fds)];
    let byte = [IoSlice::new(&[0])];
    let control = control.as_fd().as_raw_fd();
    sendmsg::<()>(control, &byte, &rights, MsgFlags::MSG_NOSIGNAL, None).context("sendmsg")?;
    Ok(())
}

/// Receives a descriptor.
pub fn take_fd(control: impl AsFd) -> Result<OwnedFd> {
    let mut byte = [0];
    let mut bytes = [IoSliceMut::new(&mut byte)];
    let mut rights = cmsg_space!(RawFd);
    let control = control.as_fd().as_raw_fd();
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message =
        recvmsg::<()>(control, &mut bytes, Some(&mut rights), flags).context("recvmsg")?;
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = part
            && let [fd] = fds[..]
        {
            // SAFETY: the descriptor has come with this message and is nobody else's.
            return Ok(unsafe { OwnedFd::from_raw_fd(fd) });
        }
    }
    bail!("no descriptor in the message")
}
