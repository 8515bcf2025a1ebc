//! One of the processes that do it.

use std::{
    ffi::CString,
    io::{Read, Write, pipe},
    net::{Ipv4Addr, SocketAddr},
    os::fd::{AsRawFd, OwnedFd},
    process::id,
};

use anyhow::{Context, Result};
use nix::{
    errno::Errno,
    sys::{
        prctl,
        socket::{
            AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, listen, socket,
        },
        stat::fstat,
        wait::waitpid,
    },
    unistd::{ForkResult, fork},
};
use portwatch::machine::clock::boot_now;
use serde::{Deserialize, Serialize};

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Forks one process after the other that binds, listens and ends.
    Holders,
    /// Binds and closes, again and again.
    Binder,
}

impl Role {
    /// On the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Holders => "holders",
            Self::Binder => "binder",
        }
    }
}

/// A socket that had the port. Times are of the boot clock, in nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Name of its process; no other process ever has it.
    pub comm: String,
    /// That process.
    pub pid: u32,
    /// Inode of the socket.
    pub inode: u64,
    /// When it had not got the port yet.
    pub from: u64,
    /// When its process had let go of it, or had ended.
    pub to: u64,
}

/// A `bind()`. Times are of the boot clock, in nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Name of the process that called.
    pub comm: String,
    /// That process.
    pub pid: u32,
    /// 0, or the errno.
    pub errno: i32,
    /// Before it.
    pub from: u64,
    /// After it.
    pub to: u64,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Sockets that had the port.
    pub holds: Vec<Hold>,
    /// Every bind, those of each process in order.
    pub attempts: Vec<Attempt>,
}

impl Part {
    /// An attempt on the socket of this inode; one that succeeded held the port until then.
    fn add(&mut self, attempt: Attempt, inode: u64, held_until: u64) {
        if attempt.errno == 0 {
            self.holds.push(Hold {
                comm: attempt.comm.clone(),
                pid: attempt.pid,
                inode,
                from: attempt.from,
                to: held_until,
            });
        }
        self.attempts.push(attempt);
    }
}

/// Does it so many times, in this process, which is called `name` or forks processes whose names begin with that.
pub fn play(role: Role, name: &str, port: u16, times: u32) -> Result<Part> {
    let at = SockaddrStorage::from(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
    match role {
        Role::Holders => holders(name, &at, times),
        Role::Binder => binder(name, &at, times),
    }
}

fn new_socket() -> Result<(OwnedFd, u64)> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
    let inode = fstat(&socket)?.st_ino;
    Ok((socket, inode))
}

fn try_bind(socket: &OwnedFd, at: &SockaddrStorage) -> i32 {
    bind(socket.as_raw_fd(), at)
        .err()
        .map_or(0, |errno| errno as i32)
}

fn binder(name: &str, at: &SockaddrStorage, times: u32) -> Result<Part> {
    prctl::set_name(&CString::new(name)?)?;
    let mut part = Part::default();
    for _ in 0..times {
        let (socket, inode) = new_socket()?;
        let from = boot_now()?;
        let errno = try_bind(&socket, at);
        let to = boot_now()?;
        drop(socket);
        let attempt = Attempt {
            comm: name.to_owned(),
            pid: id(),
            errno,
            from,
            to,
        };
        part.add(attempt, inode, boot_now()?);
        // A holder's turn, as long as it takes to make a process: otherwise nobody else would ever get the port.
        pass()?;
    }
    Ok(part)
}

/// Makes a process that does nothing, and waits for its end.
fn pass() -> Result<()> {
    // SAFETY: this process has one thread.
    match unsafe { fork() }? {
        // SAFETY: nothing of this process is needed any more.
        ForkResult::Child => unsafe { libc::_exit(0) },
        ForkResult::Parent { child } => waitpid(child, None)?,
    };
    Ok(())
}

fn holders(name: &str, at: &SockaddrStorage, times: u32) -> Result<Part> {
    let mut part = Part::default();
    let (mut from_child, mut to_parent) = pipe()?;
    for number in 0..times {
        let comm = format!("{name}{number}");
        let c_comm = CString::new(comm.as_str())?;
        let from = boot_now()?;
        // SAFETY: this process has one thread.
        let child = match unsafe { fork() }? {
            ForkResult::Child => {
                let told = hold(&c_comm, at).and_then(|(errno, inode)| {
                    let told = [i64::from(errno).to_ne_bytes(), inode.to_ne_bytes()].concat();
                    Ok(to_parent.write_all(&told)?)
                });
                // SAFETY: nothing of this process is needed any more. Its socket is closed by its end.
                unsafe { libc::_exit(told.is_err().into()) }
            }
            ForkResult::Parent { child } => child,
        };
        waitpid(child, None)?;
        let to = boot_now()?;
        let mut told = [0; 16];
        from_child
            .read_exact(&mut told)
            .context("a holder failed")?;
        let (errno, inode) = told.split_at(8);
        let errno = i64::from_ne_bytes(errno.try_into()?) as i32;
        let inode = u64::from_ne_bytes(inode.try_into()?);
        let attempt = Attempt {
            comm,
            pid: child.as_raw().cast_unsigned(),
            errno,
            from,
            to,
        };
        part.add(attempt, inode, to);
    }
    Ok(part)
}

/// Gives the errno of the bind and the socket's inode, and leaves the socket open.
fn hold(comm: &CString, at: &SockaddrStorage) -> Result<(i32, u64)> {
    prctl::set_name(comm)?;
    let (socket, inode) = new_socket()?;
    let errno = try_bind(&socket, at);
    if errno == 0 {
        match listen(&socket, Backlog::new(1)?) {
            Ok(()) | Err(Errno::EADDRINUSE) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    std::mem::forget(socket);
    Ok((errno, inode))
}
