//! How the processes of a scenario keep sockets without descriptors.

use anyhow::{Context, Result, bail};

use super::{Facts, Process, Sock};
use crate::lab::protocol::{Kind, Reply, Request, Target};

impl Process<'_> {
    /// Connects to a name of the unix family.
    pub fn connect_unix(&self, socket: Sock, to: &Target) -> Result<()> {
        self.ask(&Request::ConnectUnix(socket.0, to.clone()))
            .map(drop)
    }

    /// Makes a pair of unix sockets.
    pub fn pair(&self) -> Result<(Sock, Sock)> {
        let (one, other) = match self.ask(&Request::Pair)? {
            Reply::Pair(one, other) => (Sock(one), Sock(other)),
            reply => bail!("pair: {reply:?}"),
        };
        let facts = Facts {
            kind: Kind::Unix,
            netns: self.identity().netns,
            options: Vec::new(),
            target: None,
        };
        self.sockets.borrow_mut().insert(one, facts.clone());
        self.sockets.borrow_mut().insert(other, facts);
        Ok((one, other))
    }

    /// Sends a socket through a unix socket, and keeps its own descriptor.
    pub fn send(&self, through: Sock, socket: Sock) -> Result<()> {
        let (through, fd) = (through.0, socket.0);
        self.ask(&Request::SendFd { through, fd }).map(drop)
    }

    /// Receives a socket that is like another one.
    pub fn receive(&self, through: Sock, like: Sock) -> Result<Sock> {
        let socket = self.ask_fd(&Request::ReceiveFd(through.0))?;
        let facts = self.sockets.borrow().get(&like).cloned();
        let facts = facts.context("whose socket is that?")?;
        self.sockets.borrow_mut().insert(socket, facts);
        Ok(socket)
    }

    /// Ends both directions of a socket.
    pub fn shutdown(&self, socket: Sock) -> Result<()> {
        self.ask(&Request::Shutdown(socket.0)).map(drop)
    }

    /// Has another thread wait for a connection.
    pub fn accept_in_thread(&self, listener: Sock) -> Result<()> {
        self.ask(&Request::AcceptInThread(listener.0)).map(drop)
    }

    /// Waits for a connection through `io_uring`.
    pub fn accept_by_uring(&self, listener: Sock) -> Result<()> {
        self.ask(&Request::AcceptByUring(listener.0)).map(drop)
    }

    /// Registers a socket with an `io_uring`.
    pub fn register_with_uring(&self, socket: Sock) -> Result<()> {
        self.ask(&Request::RegisterWithUring(socket.0)).map(drop)
    }

    /// Closes every `io_uring` of its.
    pub fn close_rings(&self) -> Result<()> {
        self.ask(&Request::CloseRings).map(drop)
    }
}
