//! What an agent does to itself.

use std::{
    ffi::{CString, OsStr},
    fs::{self, File},
    io::stdin,
    net::Ipv4Addr,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
        unix::{ffi::OsStrExt, fs::MetadataExt, process::CommandExt},
    },
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, anyhow};
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, FdFlag, fcntl},
    sched::{CloneFlags, setns, unshare},
    sys::{
        prctl,
        signal::{SigSet, Signal, kill},
        socket::{AddressFamily, SockFlag, SockType, socket},
        wait::waitpid,
    },
    unistd::{
        ForkResult, Gid, Pid, Uid, dup2_stdin, dup2_stdout, fork as sys_fork, getpid, getuid,
        setgroups, setresgid, setresuid,
    },
};

use super::{KEEP, SUBCOMMAND};
use crate::lab::protocol::{Identity, Reply};

pub(super) fn identity() -> Result<Identity> {
    // The thread's own namespace: after unshare() in the leader it is that of the process too.
    let netns = fs::metadata("/proc/thread-self/ns/net")
        .context("network namespace")?
        .ino();
    let arguments = fs::read("/proc/self/cmdline").context("/proc/self/cmdline")?;
    let arguments = arguments.strip_suffix(b"\0").unwrap_or(&arguments);
    Ok(Identity {
        pid: getpid().as_raw().cast_unsigned(),
        uid: getuid().as_raw(),
        netns,
        comm: prctl::get_name()
            .context("PR_GET_NAME")?
            .to_bytes()
            .to_vec(),
        exe: std::env::current_exe()?,
        cmdline: arguments
            .split(|byte| *byte == 0)
            .map(<[u8]>::to_vec)
            .collect(),
    })
}

fn hello() -> Result<Reply> {
    Ok(Reply::Hello(identity()?))
}

pub(super) fn new_netns() -> Result<Reply> {
    unshare(CloneFlags::CLONE_NEWNET).context("unshare")?;
    raise_loopback().context("lo up")?;
    hello()
}

/// Brings up `lo` of the network namespace that the caller is in.
pub fn raise_loopback() -> Result<()> {
    let flags = libc::__c_anonymous_ifr_ifru {
        ifru_flags: libc::IFF_UP as libc::c_short,
    };
    configure("lo", libc::SIOCSIFFLAGS, flags)
}

/// An alias of `lo`, which comes up with its address.
pub(super) fn add_address(addr: Ipv4Addr) -> Result<Reply> {
    // SAFETY: all-zero bytes are a valid `sockaddr`.
    let mut address: libc::sockaddr = unsafe { std::mem::zeroed() };
    address.sa_family = libc::AF_INET as libc::sa_family_t;
    // Behind the port, which is 0.
    for (to, from) in address.sa_data[2..].iter_mut().zip(addr.octets()) {
        *to = from as libc::c_char;
    }
    let address = libc::__c_anonymous_ifr_ifru { ifru_addr: address };
    configure("lo:1", libc::SIOCSIFADDR, address).context("address")?;
    Ok(Reply::Done)
}

fn configure(
    interface: &str,
    what: libc::Ioctl,
    value: libc::__c_anonymous_ifr_ifru,
) -> Result<()> {
    let any = socket(
        AddressFamily::Inet,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    // SAFETY: all-zero bytes are a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru = value;
    // SAFETY: the request lives until the call returns.
    let outcome = unsafe { libc::ioctl(any.as_raw_fd(), what, &request) };
    Errno::result(outcome)?;
    Ok(())
}

pub(super) fn join_netns(pid: u32) -> Result<Reply> {
    let namespace = File::open(format!("/proc/{pid}/ns/net")).context("network namespace")?;
    setns(namespace, CloneFlags::CLONE_NEWNET).context("setns")?;
    hello()
}

pub(super) fn change_root(root: &Path) -> Result<Reply> {
    nix::unistd::chroot(root).context("chroot")?;
    std::env::set_current_dir("/").context("chdir")?;
    Ok(Reply::Done)
}

pub(super) fn set_uid(uid: u32) -> Result<Reply> {
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(uid));
    setgroups(&[]).context("setgroups")?;
    setresgid(group, group, group).context("setresgid")?;
    setresuid(user, user, user).context("setresuid")?;
    hello()
}

pub(super) fn set_name(name: &[u8]) -> Result<Reply> {
    prctl::set_name(&CString::new(name)?).context("PR_SET_NAME")?;
    hello()
}

/// The parent answers at once; the child's answer is its hello on the spare control socket.
pub(super) fn fork() -> Result<Reply> {
    // SAFETY: an agent has one thread whenever it takes a request.
    match unsafe { sys_fork() }.context("fork")? {
        ForkResult::Parent { .. } => {
            // The spare socket is the child's alone now, so that its end can be seen.
            dup2_stdout(File::open("/dev/null")?).context("dup2")?;
            Ok(Reply::Done)
        }
        ForkResult::Child => {
            dup2_stdin(std::io::stdout().as_fd()).context("dup2")?;
            hello()
        }
    }
}

/// The parent answers when its child has ended; the other answer is the grandchild's hello.
pub(super) fn fork_twice() -> Result<Reply> {
    // SAFETY: an agent has one thread whenever it takes a request.
    match unsafe { sys_fork() }.context("fork")? {
        ForkResult::Parent { child } => {
            dup2_stdout(File::open("/dev/null")?).context("dup2")?;
            waitpid(child, None).context("waitpid")?;
            Ok(Reply::Done)
        }
        // SAFETY: as above.
        ForkResult::Child => match unsafe { sys_fork() }.context("fork")? {
            // SAFETY: nothing of this process is needed any more.
            ForkResult::Parent { .. } => unsafe { libc::_exit(0) },
            ForkResult::Child => {
                dup2_stdin(std::io::stdout().as_fd()).context("dup2")?;
                hello()
            }
        },
    }
}

pub(super) fn hold_term() -> Result<Reply> {
    SigSet::from(Signal::SIGTERM)
        .thread_block()
        .context("sigmask")?;
    Ok(Reply::Done)
}

pub(super) fn send_term(pid: i32) -> Result<Reply> {
    kill(Pid::from_raw(pid), Signal::SIGTERM).context("kill")?;
    Ok(Reply::Done)
}

pub(super) fn exec(exe: &Path, keep: &[RawFd], args: &[Vec<u8>]) -> Result<Reply> {
    let mut command = Command::new(exe);
    command.arg(SUBCOMMAND);
    for &fd in keep {
        // SAFETY: the script names descriptors that it has from this agent.
        let kept = unsafe { BorrowedFd::borrow_raw(fd) };
        fcntl(kept, FcntlArg::F_SETFD(FdFlag::empty())).context("F_SETFD")?;
        command.args([KEEP, &fd.to_string()]);
    }
    command
        .arg("--")
        .args(args.iter().map(|arg| OsStr::from_bytes(arg)));
    let control = stdin().as_fd().try_clone_to_owned()?;
    Err(anyhow!(command.stdin(Stdio::from(control)).exec())).context("exec")
}
