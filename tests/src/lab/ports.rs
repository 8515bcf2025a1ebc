//! Ports that nobody else uses: not the system, not another scenario that runs at the same time.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    ops::RangeInclusive,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::{OpenOptionsExt, PermissionsExt},
    },
    process,
    sync::atomic::{AtomicU16, Ordering},
    thread,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail, ensure};
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, fcntl},
    sys::socket::{
        AddressFamily, SockFlag, SockType, SockaddrStorage, bind, setsockopt, socket, sockopt,
    },
};

use crate::harness::patience;

/// Lowest port that is handed out: below it are well-known services.
const LOWEST: u16 = 10_000;

/// The ports that portwatch is asked to watch.
pub const WATCHED: RangeInclusive<u16> = LOWEST..=LOWEST + 999;

/// A port that is ours until this is dropped. It lies outside the automatic range, so that no `connect()` and no
/// `bind()` to port 0 takes it.
#[derive(Debug)]
pub struct Claim {
    /// The port.
    pub port: u16,
    /// Holds the lock on one byte of a file that all scenarios of the machine share.
    _lock: File,
}

impl Claim {
    /// Claims a free port that is not watched.
    pub fn new() -> Result<Self> {
        Self::of(WATCHED.end() + 1..=u16::MAX)
    }

    /// Claims a free one of the [`WATCHED`].
    pub fn watched() -> Result<Self> {
        Self::of(WATCHED)
    }

    fn of(ports: RangeInclusive<u16>) -> Result<Self> {
        let ports = outside_automatic_range(ports)?;
        for _ in 0..1000 {
            let port = ports[usize::from(scatter()) % ports.len()];
            let lock = open_locks()?;
            if lock_byte(&lock, port)? && is_free(port) {
                return Ok(Self { port, _lock: lock });
            }
        }
        bail!("no free port")
    }
}

fn outside_automatic_range(ports: RangeInclusive<u16>) -> Result<Vec<u16>> {
    let range = automatic_range()?;
    let wanted = ports.clone();
    let ports: Vec<u16> = ports.filter(|port| !range.contains(port)).collect();
    if ports.is_empty() {
        bail!("ip_local_port_range leaves none of the ports {wanted:?}");
    }
    Ok(ports)
}

/// `ip_local_port_range` of this network namespace.
pub fn automatic_range() -> Result<RangeInclusive<u16>> {
    let path = "/proc/sys/net/ipv4/ip_local_port_range";
    let text = fs::read_to_string(path).context(path)?;
    let mut ends = text.split_whitespace().map(str::parse::<u16>);
    let (Some(low), Some(high)) = (ends.next(), ends.next()) else {
        bail!("{path}: {text:?}")
    };
    Ok(low?..=high?)
}

/// Numbers that differ between the processes of a machine and between calls.
fn scatter() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let nanoseconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| now.subsec_nanos());
    (process::id() as u16)
        .wrapping_mul(40_503)
        .wrapping_add((nanoseconds >> 6) as u16)
        .wrapping_add(NEXT.fetch_add(7919, Ordering::Relaxed))
}

fn open_locks() -> Result<File> {
    let path = std::env::temp_dir().join("portwatch-tests.ports");
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOFOLLOW);
    let shared = || -> std::io::Result<File> {
        // fs.protected_regular refuses O_CREAT on another user's file in a sticky directory.
        if let Ok(file) = options.open(&path) {
            return Ok(file);
        }
        let file = options.clone().create(true).open(&path)?;
        // Every user's scenarios lock it, whatever the umask.
        file.set_permissions(Permissions::from_mode(0o666))?;
        Ok(file)
    };
    shared().with_context(|| path.display().to_string())
}

fn lock_byte(file: &File, port: u16) -> Result<bool> {
    let lock = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: libc::off_t::from(port),
        l_len: 1,
        l_pid: 0,
    };
    match fcntl(file, FcntlArg::F_OFD_SETLK(&lock)) {
        Ok(_) => Ok(true),
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(errno) => Err(errno).context("lock of a port"),
    }
}

/// True if sockets of both protocols could be bound to the wildcard addresses.
fn is_free(port: u16) -> bool {
    [SockType::Stream, SockType::Datagram]
        .into_iter()
        .all(|sort| {
            let v4 = probe(
                AddressFamily::Inet,
                sort,
                (Ipv4Addr::UNSPECIFIED, port).into(),
            );
            let v6 = probe(
                AddressFamily::Inet6,
                sort,
                (Ipv6Addr::UNSPECIFIED, port).into(),
            );
            matches!((v4, v6), (Ok(_), Ok(_) | Err(Errno::EAFNOSUPPORT)))
        })
}

fn probe(family: AddressFamily, sort: SockType, to: SocketAddr) -> nix::Result<OwnedFd> {
    let socket = socket(family, sort, SockFlag::SOCK_CLOEXEC, None)?;
    if family == AddressFamily::Inet6 {
        setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
    }
    bind(socket.as_raw_fd(), &SockaddrStorage::from(to))?;
    Ok(socket)
}

/// State of a TCP connection of this thread's network namespace, by its ports, as `/proc/net/tcp` numbers it. A
/// mini-socket is shown by its kind: 6, or 5 for `FIN_WAIT2`.
pub fn tcp_state(local: u16, remote: u16) -> Result<Option<u8>> {
    let state = tcp_field(local, remote, 3)?;
    Ok(state.and_then(|state| u8::from_str_radix(&state, 16).ok()))
}

/// Whether a mini-socket is all that is left of a TCP connection. One whose last acknowledgement came while `close()` was
/// about to end stays a socket, in `FIN_WAIT2`, until the peer closes.
pub fn is_mini_socket(local: u16, remote: u16) -> Result<bool> {
    let timer = tcp_field(local, remote, 5)?;
    // The kernel shows them with this kind of timer.
    Ok(timer.is_some_and(|timer| timer.starts_with("03:")))
}

/// A column of a TCP connection's row.
fn tcp_field(local: u16, remote: u16, column: usize) -> Result<Option<String>> {
    let path = "/proc/thread-self/net/tcp";
    let table = fs::read_to_string(path).context(path)?;
    let port = |endpoint: &str| u16::from_str_radix(endpoint.rsplit(':').next()?, 16).ok();
    Ok(table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, from, to, ..] = fields[..] else {
            return None;
        };
        let is_wanted = port(from) == Some(local) && port(to) == Some(remote);
        is_wanted.then(|| fields.get(column).map(ToString::to_string))?
    }))
}

/// Waits until a TCP connection is in this state (see [`tcp_state`]), or is gone.
pub fn await_tcp_state(local: u16, remote: u16, wanted: Option<u8>) -> Result<()> {
    await_state(wanted, || tcp_state(local, remote))
}

/// Asks for the state of a connection until it is the one that is wanted. There is no event to wait for: a socket that
/// no process has open tells nobody.
pub fn await_state(wanted: Option<u8>, ask: impl Fn() -> Result<Option<u8>>) -> Result<()> {
    let deadline = Instant::now() + patience();
    loop {
        let state = ask()?;
        if state == wanted {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "connection in state {state:?}, not {wanted:?}"
        );
        thread::yield_now();
    }
}
