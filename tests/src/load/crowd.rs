//! Very many processes and connections, none of which lasts.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::fd::AsFd,
};

use anyhow::{Context, Result, ensure};
use nix::{
    libc,
    sys::{
        socket::{setsockopt, sockopt::Linger},
        wait::{WaitStatus, waitpid},
    },
    unistd::Pid,
};

/// Bytes of stack for a process that makes three system calls.
const STACK: usize = 64 * 1024;

/// Makes so many processes, one after the other. Each binds a socket to a port that the kernel picks, and ends.
pub fn processes(count: u64) -> Result<()> {
    let mut stack = vec![0_u128; STACK / size_of::<u128>()];
    let top = stack.as_mut_ptr_range().end;
    for _ in 0..count {
        // SAFETY: the child has a stack of its own. It borrows our memory, in which it changes nothing, and we stand still
        // until it has ended (CLONE_VFORK).
        let pid = unsafe {
            libc::clone(
                bind_and_end,
                top.cast(),
                libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD,
                std::ptr::null_mut(),
            )
        };
        ensure!(pid > 0, "clone: {}", std::io::Error::last_os_error());
        let ended = waitpid(Pid::from_raw(pid), None)?;
        ensure!(
            matches!(ended, WaitStatus::Exited(_, 0)),
            "a process did not bind: {ended:?}"
        );
    }
    Ok(())
}

/// In a process that has its parent's memory: system calls only.
extern "C" fn bind_and_end(_: *mut libc::c_void) -> libc::c_int {
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: 0,
        sin_addr: libc::in_addr {
            s_addr: u32::from(Ipv4Addr::LOCALHOST).to_be(),
        },
        sin_zero: [0; 8],
    };
    // SAFETY: the address is whole, and of the length that is given.
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        let bound = libc::bind(
            socket,
            (&raw const address).cast(),
            size_of::<libc::sockaddr_in>() as libc::socklen_t,
        );
        libc::_exit(i32::from(bound != 0))
    }
}

/// Makes so many connections, one after the other, to a listener of its own on this port. A reset ends each, so that
/// nothing of it is left.
pub fn connections(port: u16, count: u64) -> Result<()> {
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = TcpListener::bind(to).context("the listener")?;
    for _ in 0..count {
        let client = TcpStream::connect(to)?;
        let (server, _) = listener.accept()?;
        reset(&client)?;
        drop((client, server));
    }
    Ok(())
}

fn reset(socket: &impl AsFd) -> Result<()> {
    let at_once = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    Ok(setsockopt(socket, Linger, &at_once)?)
}
