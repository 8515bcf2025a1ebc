//! An attempt's own side: what was asked for, by whom, on which socket.

use crate::prelude::*;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use portwatch_common::{
    endpoint::{AF_INET, AF_INET6, AF_UNIX, Endpoint},
    event::{
        attempt::{self as raw, flag, stage},
        socket::{self, Socket},
    },
};

use super::{Assembler, Surroundings};
use crate::{
    model::{
        attempt::{Attempt, Facts, Op, SocketId, StageResults},
        number::Big,
        record::Body,
        socket::{Proto, SocketOption},
    },
    words::errno::errno_name,
};

/// `CAP_NET_BIND_SERVICE` of `include/uapi/linux/capability.h`.
const CAP_NET_BIND_SERVICE: u64 = 1 << 10;
/// `SOCK_RAW`.
const SOCK_RAW: u16 = 3;
/// Kind of the record that tells of lost entries.
const LOST_ENTRIES: &str = "entry";
/// Kind of the record that tells of lost records of processes.
const LOST_PROCESSES: &str = "process";

pub(super) fn ip(endpoint: &Endpoint) -> Option<IpAddr> {
    let a = endpoint.addr;
    match endpoint.family {
        AF_INET => Some(IpAddr::V4(Ipv4Addr::new(a[0], a[1], a[2], a[3]))),
        AF_INET6 => Some(IpAddr::V6(Ipv6Addr::from(a))),
        _ => None,
    }
}

pub(super) fn options(socket: &Socket) -> Vec<SocketOption> {
    let mut options = Vec::new();
    match socket.reuse {
        0 => {}
        2 => options.push(SocketOption::ForceReuse),
        _ => options.push(SocketOption::ReuseAddr),
    }
    let flags = [
        (socket::flag::REUSEPORT, SocketOption::ReusePort),
        (socket::flag::REUSEPORT_CB, SocketOption::ReusePortGroup),
        (socket::flag::V6ONLY, SocketOption::V6Only),
    ];
    options.extend(
        flags
            .iter()
            .filter(|(bit, _)| socket.flags & bit != 0)
            .map(|(_, option)| *option),
    );
    options
}

/// A number; 0 means that the kernel has given none.
pub(super) fn given(value: u64) -> Option<u64> {
    (value != 0).then_some(value)
}

fn op(raw: &raw::Attempt) -> Op {
    match raw.op {
        raw::op::LISTEN => Op::Listen,
        raw::op::AUTOBIND => Op::Autobind,
        _ => Op::Bind,
    }
}

fn proto(raw: &raw::Attempt) -> Proto {
    let family = if raw.socket.local.family == 0 {
        raw.requested.family
    } else {
        raw.socket.local.family
    };
    if family == AF_UNIX {
        return Proto::Unix;
    }
    if raw.flags & flag::NO_SOCKET != 0 {
        return Proto::Unknown;
    }
    protocol(&raw.socket)
}

/// The protocol of an IP socket.
pub(super) const fn protocol(socket: &Socket) -> Proto {
    match socket.protocol {
        _ if socket.socket_type == SOCK_RAW => Proto::Raw,
        6 => Proto::Tcp,
        17 => Proto::Udp,
        136 => Proto::Udplite,
        132 => Proto::Sctp,
        262 => Proto::Mptcp,
        1 | 58 => Proto::Icmp,
        _ => Proto::Other,
    }
}

/// What stands in a unix address behind its family.
pub(super) fn unix_bytes(raw: &raw::Attempt) -> &[u8] {
    const FAMILY: usize = 2;
    let len = (raw.addrlen as usize).clamp(FAMILY, raw.sockaddr.len());
    &raw.sockaddr[FAMILY..len]
}

/// The path of a unix address: `@` and the name for an abstract one, empty for "any" (`unix(7)`).
fn unix_path(raw: &raw::Attempt) -> String {
    let path = unix_bytes(raw);
    match path.first() {
        None => String::new(),
        Some(0) => format!("@{}", String::from_utf8_lossy(&path[1..])),
        Some(_) => {
            let end = path
                .iter()
                .position(|&byte| byte == 0)
                .unwrap_or(path.len());
            String::from_utf8_lossy(&path[..end]).into_owned()
        }
    }
}

/// What is known of the tracing itself.
#[derive(Debug, Default)]
pub(super) struct Tracing {
    /// When it had begun: `CLOCK_BOOTTIME`, ns.
    since_ns: Option<u64>,
    /// The entries of some calls were lost.
    lost_entries: bool,
    /// When it was last told that records of processes were lost: `CLOCK_BOOTTIME`, ns.
    lost_processes_ns: Option<u64>,
}

impl Tracing {
    /// Heeds a record of the tracing's own, made at `boot_ns`.
    pub(super) fn heed(&mut self, boot_ns: u64, body: &Body) {
        match body {
            Body::Start(_) => self.since_ns = Some(boot_ns),
            Body::Lost(lost) if lost.kind == LOST_ENTRIES => self.lost_entries = true,
            Body::Lost(lost) if lost.kind == LOST_PROCESSES => {
                self.lost_processes_ns = Some(boot_ns);
            }
            _ => {}
        }
    }

    /// True if no record of a process was lost since a moment, by the `lost` records.
    pub(super) fn knows_processes_since(&self, boot_ns: u64) -> bool {
        self.lost_processes_ns.is_none_or(|lost| lost < boot_ns)
    }

    /// True if the call is known to have begun while tracing. Without an entry it may have been under way when tracing
    /// began, unless its process is younger than that.
    fn covers(&self, raw: &raw::Attempt) -> bool {
        let is_younger = || {
            !self.lost_entries
                && self
                    .since_ns
                    .is_some_and(|since| raw.task.start_boot_ns > since)
        };
        raw.flags & flag::NO_ENTRY == 0 || is_younger()
    }
}

impl<S: Surroundings> Assembler<S> {
    pub(super) fn describe(&mut self, raw: &raw::Attempt) -> Attempt {
        let socket = &raw.socket;
        let known = raw.flags & flag::NO_SOCKET == 0;
        let netns_cookie = given(socket.netns_cookie).filter(|_| known);
        let requested = ip(&raw.requested);
        let inet = requested.is_some();
        let unix = raw.requested.family == AF_UNIX && raw.op == raw::op::BIND;
        let bound =
            known && matches!(socket.local.family, AF_INET | AF_INET6) && socket.local.port != 0;
        Attempt {
            op: op(raw),
            result: if raw.errno == 0 {
                "ok".to_owned()
            } else {
                errno_name(raw.errno)
            },
            errno: raw.errno,
            stage: None,
            proto: proto(raw),
            addr: requested
                .map(|addr| addr.to_string())
                .or_else(|| unix.then(|| unix_path(raw))),
            port: inet.then_some(raw.requested.port),
            bound_port: bound.then_some(socket.local.port),
            netns: known.then_some(socket.netns),
            device: self.device(socket.bound_dev_if, socket.netns),
            options: if known { options(socket) } else { Vec::new() },
            process: self.actor(&raw.task),
            socket: SocketId {
                fd: (raw.fd >= 0).then_some(raw.fd),
                inode: given(socket.inode),
                cookie: given(socket.cookie).map(Big),
            },
            facts: facts(raw, bound, self.tracing.covers(raw)),
            failure: None,
            netns_cookie: netns_cookie.map(Big),
            netns_name: known
                .then(|| self.surroundings.netns_name(socket.netns, netns_cookie))
                .flatten(),
        }
    }

    pub(super) fn device(&mut self, index: u32, netns: u32) -> Option<String> {
        (index != 0)
            .then(|| self.surroundings.device(index, netns))
            .flatten()
    }
}

fn facts(raw: &raw::Attempt, bound: bool, began_while_tracing: bool) -> Facts {
    let has = |bit| raw.flags & bit != 0;
    let addressed = raw.op == raw::op::BIND && !has(flag::NO_ENTRY);
    let netns = (raw.flags & flag::NETNS_READ != 0).then_some(raw.netns);
    Facts {
        began_boot_ns: given(raw.enter_ns).map(Big),
        socket_uid: (raw.socket.flags & socket::flag::UID_KNOWN != 0).then_some(raw.socket.uid),
        device_index: raw.socket.bound_dev_if,
        // A bind that fails leaves the socket as it was: a port that it has now, it had before.
        already_bound: raw.errno != 0
            && raw.op == raw::op::BIND
            && (bound || raw.socket.state != socket::state::CLOSE)
            && raw.flags & flag::NO_SOCKET == 0,
        port_range: netns.map(|netns| [netns.range_low, netns.range_high]),
        port_reserved: netns.map(|_| has(flag::PORT_RESERVED)),
        unprivileged_port_start: netns.map(|netns| netns.unprivileged_port_start),
        cap_net_bind_service: raw.task.cap_effective & CAP_NET_BIND_SERVICE != 0,
        io_uring: has(flag::IO_URING),
        entry_unseen: has(flag::NO_ENTRY),
        address_read_late: has(flag::ADDRESS_READ_LATE),
        began_while_tracing,
        kernel: has(flag::KERNEL),
        compat: has(flag::COMPAT),
        addrlen: addressed.then_some(raw.addrlen),
        stages: stages(&raw.stages),
    }
}

fn stages(raw: &raw::Stages) -> Option<StageResults> {
    let of = |bit, result| (raw.reached & bit != 0).then_some(result);
    let results = StageResults {
        security: of(stage::SECURITY, raw.security),
        family: of(stage::FAMILY, raw.family),
        address: of(stage::ADDRESS, raw.address),
        port: of(stage::PORT, raw.port),
    };
    (results != StageResults::default()).then_some(results)
}
