//! What the processes of a scenario do with sockets.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;

use super::{Facts, Process, Sock};
use crate::{
    expect::truth::{Binder, Expected},
    lab::{
        Attempt, any, ip_text,
        ports::await_state,
        protocol::{Attempted, How, Kind, Opt, Reply, Request, Target},
    },
};

impl<'lab> Process<'lab> {
    /// Makes a socket.
    pub fn socket(&self, kind: Kind) -> Result<Sock> {
        self.socket_with(kind, &[])
    }

    /// Makes a socket with options.
    pub fn socket_with(&self, kind: Kind, options: &[Opt]) -> Result<Sock> {
        let socket = self.ask_fd(&Request::Socket(kind))?;
        let netns = self.identity().netns;
        let facts = Facts {
            kind,
            netns,
            options: Vec::new(),
            target: None,
        };
        self.sockets.borrow_mut().insert(socket, facts);
        for option in options {
            self.set(socket, *option)?;
        }
        Ok(socket)
    }

    /// Sets an option.
    pub fn set(&self, socket: Sock, option: Opt) -> Result<()> {
        self.ask(&Request::Set(socket.0, option))?;
        let (name, on) = match option {
            Opt::ReuseAddr(on) => ("SO_REUSEADDR", on),
            Opt::ReusePort(on) => ("SO_REUSEPORT", on),
            _ => return Ok(()),
        };
        if let Some(facts) = self.sockets.borrow_mut().get_mut(&socket) {
            facts.options.retain(|option| option != name);
            if on {
                facts.options.push(name.into());
            }
        }
        Ok(())
    }

    /// Binds.
    pub fn bind(&self, socket: Sock, to: impl Into<Target>) -> Result<Attempt<'lab>> {
        self.bind_how(socket, to, How::Syscall, None)
    }

    /// Binds in another way than the leader's system call.
    pub fn bind_by(&self, socket: Sock, to: impl Into<Target>, how: How) -> Result<Attempt<'lab>> {
        self.bind_how(socket, to, how, None)
    }

    /// Binds, and kills a process as soon as the call has returned.
    pub fn bind_then_kill(
        &self,
        socket: Sock,
        to: impl Into<Target>,
        victim: &Process<'_>,
    ) -> Result<Attempt<'lab>> {
        self.bind_how(socket, to, How::Syscall, Some(victim.pid().cast_signed()))
    }

    fn bind_how(
        &self,
        socket: Sock,
        to: impl Into<Target>,
        how: How,
        then_kill: Option<i32>,
    ) -> Result<Attempt<'lab>> {
        let to = to.into();
        let request = Request::Bind {
            fd: socket.0,
            to: to.clone(),
            how,
            then_kill,
        };
        self.attempt("bind", socket, to, how, &request)
    }

    /// Binds at a moment of the boot clock, in nanoseconds.
    pub fn bind_at(&self, socket: Sock, to: SocketAddr, boot_ns: u64) -> Result<Attempt<'lab>> {
        let request = Request::BindAt {
            fd: socket.0,
            to: to.into(),
            boot_ns,
        };
        self.attempt("bind", socket, to.into(), How::Syscall, &request)
    }

    /// Listens.
    pub fn listen(&self, socket: Sock) -> Result<Attempt<'lab>> {
        self.listen_by(socket, How::Syscall)
    }

    /// Listens in another way than the leader's system call.
    pub fn listen_by(&self, socket: Sock, how: How) -> Result<Attempt<'lab>> {
        let known = self
            .sockets
            .borrow()
            .get(&socket)
            .and_then(|facts| facts.target.clone());
        let (op, to) = match known {
            Some(to) => ("listen", to),
            None => ("autobind", Target::Ip(any(0))),
        };
        self.attempt(op, socket, to, how, &Request::Listen(socket.0, how))
    }

    fn attempt(
        &self,
        op: &str,
        socket: Sock,
        to: Target,
        how: How,
        request: &Request,
    ) -> Result<Attempt<'lab>> {
        let attempted = match self.ask(request)? {
            Reply::Attempted(attempted) => attempted,
            reply => bail!("{request:?}: {reply:?}"),
        };
        let mut sockets = self.sockets.borrow_mut();
        let facts = sockets.get_mut(&socket).context("whose socket is that?")?;
        let expected = self.expected(op, socket, facts, &to, how, &attempted);
        if op == "bind" && attempted.errno == 0 {
            facts.target = Some(match to {
                Target::Ip(addr) => Target::Ip(SocketAddr::new(
                    addr.ip(),
                    attempted.bound_port.unwrap_or(0),
                )),
                to => to,
            });
        }
        Ok(self.lab.enter(expected))
    }

    fn expected(
        &self,
        op: &str,
        socket: Sock,
        facts: &Facts,
        to: &Target,
        how: How,
        attempted: &Attempted,
    ) -> Expected {
        let (addr, port) = match to {
            Target::Ip(addr) => (ip_text(addr.ip()), Some(addr.port())),
            Target::Path(path) => (path.display().to_string(), None),
            Target::Abstract(name) => (format!("@{name}"), None),
        };
        Expected {
            op: op.into(),
            result: result_name(attempted.errno),
            errno: attempted.errno,
            proto: facts.kind.proto().into(),
            addr,
            port,
            bound_port: attempted.bound_port.filter(|port| *port != 0),
            options: facts.options.clone(),
            netns: facts.netns,
            netns_name: self.lab.names.borrow().get(&facts.netns).cloned(),
            inode: Some(attempted.inode),
            fd: Some(socket.0),
            kernel: false,
            io_uring: matches!(how, How::Uring | How::UringWorker),
            binder: self.binder(attempted.tid),
            before_tracing: self.lab.is_before_tracing(),
            failure: None,
        }
    }

    fn binder(&self, tid: Option<u32>) -> Binder {
        let identity = self.identity();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Binder {
            pid: identity.pid,
            tid,
            uid: identity.uid,
            comm: text(&identity.comm),
            exe: identity.exe.clone(),
            cmdline: Some(
                identity
                    .cmdline
                    .iter()
                    .map(|argument| text(argument))
                    .collect(),
            ),
        }
    }

    /// Binds a TCP socket and listens.
    pub fn listener(&self, kind: Kind, to: SocketAddr, options: &[Opt]) -> Result<Sock> {
        let socket = self.socket_with(kind, options)?;
        self.bind(socket, to)?.ok()?;
        self.listen(socket)?.ok()?;
        Ok(socket)
    }

    /// Connects; gives the local port.
    pub fn connect(&self, socket: Sock, to: SocketAddr) -> Result<u16> {
        match self.ask(&Request::Connect(socket.0, to))? {
            Reply::Connected(port) => Ok(port),
            reply => bail!("connect: {reply:?}"),
        }
    }

    /// The same, as soon as the kernel allows it: a mini-socket must be a second old for a connection to take its place.
    pub fn connect_once_allowed(&self, socket: Sock, to: SocketAddr) -> Result<u16> {
        match self.ask(&Request::ConnectOnceAllowed(socket.0, to))? {
            Reply::Connected(port) => Ok(port),
            reply => bail!("connect: {reply:?}"),
        }
    }

    /// Connects where nobody listens, and is refused.
    pub fn connect_in_vain(&self, socket: Sock, to: SocketAddr) -> Result<()> {
        self.ask(&Request::ConnectInVain(socket.0, to)).map(drop)
    }

    /// Connects while a program of its control group binds the socket, or tries to: that is the attempt.
    pub fn connect_bound(
        &self,
        socket: Sock,
        to: SocketAddr,
        bound: SocketAddr,
        errno: i32,
    ) -> Result<Attempt<'lab>> {
        let port = self.connect(socket, to)?;
        let sockets = self.sockets.borrow();
        let facts = sockets.get(&socket).context("whose socket is that?")?;
        let attempted = Attempted {
            errno,
            bound_port: (errno == 0).then_some(port),
            tid: Some(self.pid()),
            inode: 0,
        };
        let to = Target::Ip(bound);
        let expected = self.expected("bind", socket, facts, &to, How::Syscall, &attempted);
        Ok(self.lab.enter(Expected {
            kernel: true,
            fd: None,
            inode: None,
            ..expected
        }))
    }

    /// Accepts a connection that is there, or will be. It has the options of its listener.
    pub fn accept(&self, listener: Sock) -> Result<Sock> {
        let connection = self.ask_fd(&Request::Accept(listener.0))?;
        let facts = self.sockets.borrow().get(&listener).cloned();
        self.sockets
            .borrow_mut()
            .insert(connection, facts.context("whose socket is that?")?);
        Ok(connection)
    }

    /// Closes.
    pub fn close(&self, socket: Sock) -> Result<()> {
        self.sockets.borrow_mut().remove(&socket);
        self.ask(&Request::Close(socket.0)).map(drop)
    }

    /// Will close at a moment of the boot clock, in nanoseconds, before it does anything else.
    pub fn close_at(&self, socket: Sock, boot_ns: u64) -> Result<()> {
        self.sockets.borrow_mut().remove(&socket);
        self.ask(&Request::CloseAt(socket.0, boot_ns)).map(drop)
    }

    /// Reads until the peer has closed.
    pub fn await_eof(&self, socket: Sock) -> Result<()> {
        self.ask(&Request::AwaitEof(socket.0)).map(drop)
    }

    /// Writes until there is no room.
    pub fn fill(&self, socket: Sock) -> Result<()> {
        self.ask(&Request::Fill(socket.0)).map(drop)
    }

    /// Waits until the connection between these ports is in this state, as `/proc/net/tcp` numbers it (a mini-socket by
    /// its kind), or until it is gone.
    pub fn await_tcp(&self, local: u16, remote: u16, wanted: Option<u8>) -> Result<()> {
        let ask = || match self.ask(&Request::TcpState(local, remote))? {
            Reply::TcpState(state) => Ok(state),
            reply => bail!("state of a connection: {reply:?}"),
        };
        await_state(wanted, ask).with_context(|| format!("from port {local} to {remote}"))
    }

    /// Whether a mini-socket is all that is left of the connection between these ports.
    pub fn is_mini_socket(&self, local: u16, remote: u16) -> Result<bool> {
        match self.ask(&Request::IsMiniSocket(local, remote))? {
            Reply::IsMiniSocket(is) => Ok(is),
            reply => bail!("kind of a connection: {reply:?}"),
        }
    }
}

pub(in crate::lab) fn result_name(errno: i32) -> String {
    if errno == 0 {
        "ok".into()
    } else {
        format!("{:?}", Errno::from_raw(errno))
    }
}
