//! How an agent keeps a socket without a descriptor: in a message, in a call under way, with `io_uring`.

use std::{
    fs,
    io::{IoSlice, IoSliceMut},
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    sync::mpsc,
    thread,
    time::Instant,
};

use anyhow::{Context, Result, bail, ensure};
use io_uring::{IoUring, opcode, types};
use nix::{
    sys::socket::{
        AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, Shutdown, SockFlag, SockType,
        recvmsg, sendmsg, shutdown as sys_shutdown, socketpair,
    },
    unistd::gettid,
};

use crate::{harness::patience, lab::protocol::Reply};

pub(super) fn pair() -> Result<(OwnedFd, OwnedFd)> {
    socketpair(
        AddressFamily::Unix,
        SockType::Stream,
        None,
        SockFlag::SOCK_CLOEXEC,
    )
    .context("socketpair")
}

pub(super) fn send(through: &OwnedFd, fd: &OwnedFd) -> Result<Reply> {
    let fds = [fd.as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&fds)];
    let byte = [IoSlice::new(b"x")];
    sendmsg::<()>(through.as_raw_fd(), &byte, &rights, MsgFlags::empty(), None)
        .context("sendmsg")?;
    Ok(Reply::Done)
}

pub(super) fn receive(through: &OwnedFd) -> Result<OwnedFd> {
    let mut room = nix::cmsg_space!([RawFd; 1]);
    let mut byte = [0];
    let mut byte = [IoSliceMut::new(&mut byte)];
    let message = recvmsg::<()>(
        through.as_raw_fd(),
        &mut byte,
        Some(&mut room),
        MsgFlags::MSG_CMSG_CLOEXEC,
    )
    .context("recvmsg")?;
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = part
            && let [fd] = fds[..]
        {
            // SAFETY: the descriptor is new and nobody else's.
            return Ok(unsafe { OwnedFd::from_raw_fd(fd) });
        }
    }
    bail!("a message without a descriptor")
}

pub(super) fn shutdown(socket: &OwnedFd) -> Result<Reply> {
    sys_shutdown(socket.as_raw_fd(), Shutdown::Both).context("shutdown")?;
    Ok(Reply::Done)
}

/// The thread ends with its call.
pub(super) fn accept_in_thread(listener: RawFd) -> Result<Reply> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        // Without a reader there is nobody to tell.
        let _ = tell.send(gettid());
        // SAFETY: the call has no pointers to memory; a descriptor that is not open is an error.
        unsafe { libc::accept4(listener, std::ptr::null_mut(), std::ptr::null_mut(), 0) };
    });
    let tid = told.recv()?.as_raw();
    let file = format!("/proc/self/task/{tid}/syscall");
    let number = libc::SYS_accept4.to_string();
    let deadline = Instant::now() + patience();
    // There is no event for it: the kernel shows the call of a thread that sleeps.
    while fs::read_to_string(&file)?.split(' ').next() != Some(number.as_str()) {
        ensure!(
            Instant::now() < deadline,
            "the thread does not sleep in accept4()"
        );
        thread::yield_now();
    }
    Ok(Reply::Thread(tid.cast_unsigned()))
}

/// `None` where the kernel has none.
pub(super) fn accept_by_uring(listener: RawFd) -> Result<Option<IoUring>> {
    let Ok(mut ring) = IoUring::new(4) else {
        return Ok(None);
    };
    let accept = opcode::Accept::new(
        types::Fd(listener),
        std::ptr::null_mut(),
        std::ptr::null_mut(),
    );
    // SAFETY: the entry points to nothing.
    unsafe { ring.submission().push(&accept.build()) }.context("io_uring is full")?;
    // Nobody has connected: on return the request waits for that.
    ring.submit().context("io_uring submission")?;
    ensure!(ring.completion().next().is_none(), "accept has ended");
    Ok(Some(ring))
}

/// `None` where the kernel has none, or does not name what is registered.
pub(super) fn register(fd: RawFd) -> Result<Option<IoUring>> {
    let Ok(ring) = IoUring::new(4) else {
        return Ok(None);
    };
    ring.submitter()
        .register_files(&[fd])
        .context("registering with io_uring")?;
    let shown = fs::read_to_string(format!("/proc/self/fdinfo/{}", ring.as_raw_fd()))?;
    Ok(shown.contains("socket:[").then_some(ring))
}
