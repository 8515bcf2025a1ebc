//! A network namespace for the sockets, with every port free.

use std::{
    fs::{File, OpenOptions},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::FileExt,
    },
    path::Path,
    thread,
    time::Instant,
};

use anyhow::{Context, Result, bail};
use nix::{
    errno::Errno,
    sched::{CloneFlags, unshare},
    sys::socket::{AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, socket},
};
use portwatch_core::verdict::rule::Transport;

use super::{
    generate::SECOND_V6,
    pair::Plan,
    socket::{claim, connect, open, serve},
};
use crate::{harness::patience, lab::agent::raise_loopback};

/// Ports that are handed out.
const FIRST: u16 = 2000;
const LAST: u16 = 59_999;
/// The automatic range while it is not made to be one port.
const AUTOMATIC: (u16, u16) = (60_000, 64_999);
/// Those that outgoing connections go to.
const ANSWERING: u16 = 1001;
const DEAF: u16 = 1002;

/// The namespace that this thread is in.
pub(super) struct Namespace {
    /// It has IPv6.
    pub(super) ipv6: bool,
    next: u16,
    automatic: Setting,
    autobind_reuse: Setting,
    /// Accepts connections at [`Self::answering`].
    pub(super) server: OwnedFd,
    /// A listener with a full queue, and the connection in it.
    _deaf: (OwnedFd, OwnedFd),
}

impl Namespace {
    /// Moves this thread into a new one.
    pub(super) fn enter() -> Result<Self> {
        unshare(CloneFlags::CLONE_NEWNET).context("unshare")?;
        raise_loopback().context("lo up")?;
        let ipv6 = add_second_v6().with_context(|| SECOND_V6.to_string())?;
        // More than there are ports: none must be left out.
        Setting::open("tcp_max_tw_buckets")?.set("262144".into())?;
        let mut automatic = Setting::open("ip_local_port_range")?;
        automatic.set(range(AUTOMATIC))?;
        Ok(Self {
            ipv6,
            next: FIRST,
            automatic,
            autobind_reuse: Setting::open("ip_autobind_reuse")?,
            server: listener(ipv6, ANSWERING)?,
            _deaf: deaf(ipv6)?,
        })
    }

    /// A port that has not been handed out. When there is none left a new namespace takes this one's place.
    pub(super) fn port(&mut self) -> Result<u16> {
        if self.next > LAST {
            *self = Self::enter()?;
        }
        self.next += 1;
        Ok(self.next - 1)
    }

    /// Makes the automatic range one port, or the usual one.
    pub(super) fn set_automatic_ports(&mut self, only: Option<u16>) -> Result<()> {
        self.automatic
            .set(range(only.map_or(AUTOMATIC, |port| (port, port))))
    }

    /// Sets `ip_autobind_reuse`.
    pub(super) fn set_autobind_reuse(&mut self, on: bool) -> Result<()> {
        self.autobind_reuse.set(u8::from(on).to_string())
    }

    /// Where connections are accepted.
    pub(super) fn answering(at: IpAddr) -> SocketAddr {
        SocketAddr::new(at, ANSWERING)
    }

    /// Where connections are neither accepted nor refused.
    pub(super) fn deaf(at: IpAddr) -> SocketAddr {
        SocketAddr::new(at, DEAF)
    }
}

fn range((first, last): (u16, u16)) -> String {
    format!("{first} {last}")
}

/// A setting of the namespace under `net.ipv4`. It is written only where it changes.
pub(super) struct Setting {
    name: &'static str,
    file: File,
    value: String,
}

impl Setting {
    pub(super) fn open(name: &'static str) -> Result<Self> {
        let path = Path::new("/proc/sys/net/ipv4").join(name);
        let file = OpenOptions::new().write(true).open(path).context(name)?;
        Ok(Self {
            name,
            file,
            value: String::new(),
        })
    }

    pub(super) fn set(&mut self, value: String) -> Result<()> {
        if value != self.value {
            self.file
                .write_all_at(value.as_bytes(), 0)
                .context(self.name)?;
            self.value = value;
        }
        Ok(())
    }
}

/// A listener for whatever families there are.
fn listener(ipv6: bool, port: u16) -> Result<OwnedFd> {
    let any = if ipv6 {
        Ipv6Addr::UNSPECIFIED.into()
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    };
    let socket = open(Transport::Tcp, &Plan::at(any))?;
    claim(&socket, any, port)?;
    serve(&socket)?;
    Ok(socket)
}

/// A listener whose queue has room for one, and the one.
fn deaf(ipv6: bool) -> Result<(OwnedFd, OwnedFd)> {
    let listener = listener(ipv6, DEAF)?;
    nix::sys::socket::listen(&listener, Backlog::new(0)?)?;
    let queued = open(Transport::Tcp, &Plan::at(Ipv4Addr::UNSPECIFIED.into()))?;
    connect(&queued, (Ipv4Addr::LOCALHOST, DEAF).into())?;
    Ok((listener, queued))
}

/// Gives the loopback device a second IPv6 address. False if there is no IPv6.
fn add_second_v6() -> Result<bool> {
    let (family, flags) = (AddressFamily::Inet6, SockFlag::SOCK_CLOEXEC);
    let socket = match socket(family, SockType::Datagram, flags, None) {
        Err(Errno::EAFNOSUPPORT) => return Ok(false),
        outcome => outcome?,
    };
    let request = libc::in6_ifreq {
        ifr6_addr: libc::in6_addr {
            s6_addr: SECOND_V6.octets(),
        },
        ifr6_prefixlen: 128,
        ifr6_ifindex: 1,
    };
    // SAFETY: the request lives until the call returns.
    let outcome = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFADDR, &raw const request) };
    Errno::result(outcome)?;
    // The kernel readies the address in the background, and tells nobody.
    let deadline = Instant::now() + patience();
    let to = SockaddrStorage::from(SocketAddr::new(SECOND_V6.into(), 0));
    loop {
        match nix::sys::socket::bind(socket.as_raw_fd(), &to) {
            Ok(()) => return Ok(true),
            Err(Errno::EADDRNOTAVAIL) if Instant::now() < deadline => thread::yield_now(),
            Err(errno) => bail!(errno),
        }
    }
}
