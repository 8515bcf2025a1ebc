//! Pieces of records.

use std::collections::BTreeMap;

use portwatch_core::model::{
    attempt::{Attempt, Blocker, BlockerCounts, Facts, Failure, Op, SocketId},
    process::{Container, Owner, Process, Source},
    record::{Filters, Hook, Start, Stop},
    socket::{Address, Proto, SocketOption, State},
    verdict::{Cause, Certainty, Clause, Verdict},
};

/// Inode of the network namespace.
pub(super) const NETNS: u32 = 4_026_531_840;

pub(super) fn start() -> Start {
    let hook = Hook {
        tier: "tracepoint".to_owned(),
        level: "exact".to_owned(),
        attached: vec!["tracepoint:syscalls:sys_exit_bind".to_owned()],
    };
    Start {
        version: "0.1.0".to_owned(),
        host: "web1".to_owned(),
        boot_id: Some("0b0c1d2e-3f40-4152-8637-485960a1b2c3".to_owned()),
        kernel: "6.12.48-cloud-amd64".to_owned(),
        arch: "x86_64".to_owned(),
        netns: Some(NETNS),
        hooks: BTreeMap::from([("attempts".to_owned(), hook)]),
        degraded: Vec::new(),
        filters: Filters::default(),
    }
}

pub(super) fn stop(records: u64) -> Stop {
    Stop {
        seen: records,
        submitted: records,
        ..Stop::default()
    }
}

pub(super) fn process(
    comm: &str,
    pid: u32,
    unit: Option<&str>,
    container: Option<&str>,
) -> Process {
    Process {
        pid,
        tid: Some(pid),
        ppid: Some(1),
        comm: comm.to_owned(),
        exe: Some(format!("/usr/bin/{comm}")),
        cmdline: Some(vec![format!("/usr/bin/{comm}"), "--serve".to_owned()]),
        uid: Some(1000),
        user: Some("app".to_owned()),
        start_boot_ns: Some((26_400_000_000_000 + u64::from(pid)).into()),
        cgroup: unit.map(|unit| format!("/system.slice/{unit}")),
        unit: unit.map(str::to_owned),
        container: container.map(|id| Container {
            id: id.repeat(8),
            runtime: Some("docker".to_owned()),
            pod: None,
        }),
        netns: Some(NETNS),
        ns_pid: None,
        ancestors: Vec::new(),
    }
}

pub(super) fn owner(process: &Process, alive: bool) -> Owner {
    Owner {
        process: process.clone(),
        alive: Some(alive),
        source: Source::Observed,
        stopping: None,
    }
}

pub(super) fn address(addr: &str, port: u16) -> Address {
    Address {
        addr: addr
            .parse()
            .unwrap_or(std::net::Ipv4Addr::UNSPECIFIED.into()),
        port,
    }
}

pub(super) fn attempt(op: Op, process: &Process, port: u16, cookie: u64) -> Attempt {
    Attempt {
        op,
        result: "ok".to_owned(),
        errno: 0,
        stage: None,
        proto: Proto::Tcp,
        addr: Some("0.0.0.0".to_owned()),
        port: Some(port),
        bound_port: Some(port),
        netns: Some(NETNS),
        netns_cookie: None,
        netns_name: None,
        device: None,
        options: vec![SocketOption::ReuseAddr],
        process: process.clone(),
        socket: SocketId {
            fd: Some(18),
            inode: Some(88_000 + cookie),
            cookie: Some(cookie.into()),
        },
        facts: Facts {
            socket_uid: Some(1000),
            port_range: Some([32768, 60999]),
            port_reserved: Some(false),
            unprivileged_port_start: Some(1024),
            ..Facts::default()
        },
        failure: None,
    }
}

/// A socket that blocks.
pub(super) struct Way<'a> {
    pub(super) state: State,
    pub(super) owner: &'a Process,
    pub(super) cookie: u64,
    pub(super) remote: Option<Address>,
    pub(super) since: Option<String>,
    pub(super) expires_in_ms: Option<u64>,
    pub(super) cause: Cause,
}

pub(super) fn refused(
    op: Op,
    process: &Process,
    port: u16,
    way: &Way<'_>,
    episode: u64,
) -> Attempt {
    let alive = way.state != State::TimeWait;
    let blocker = Blocker {
        state: way.state,
        substate: (!alive).then_some(State::TimeWait),
        local: address("0.0.0.0", port),
        remote: way.remote,
        options: vec![SocketOption::ReuseAddr],
        uid: Some(1000),
        inode: alive.then_some(88_000 + way.cookie),
        cookie: Some(way.cookie.into()),
        since: way.since.clone(),
        scope_id: None,
        device: None,
        device_index: 0,
        expires_in_ms: way.expires_in_ms,
        connected_out: Some(false),
        port_bound: alive.then_some(true),
        kernel_socket: false,
        kernel_refused: false,
        primary: true,
        conflicts: Some(true),
        came_later: false,
        clause: if alive {
            Clause::Listening
        } else {
            Clause::BinderLacksReuseAddr
        },
        certainty: Certainty::Walked,
        owner: Some(owner(way.owner, alive)),
        holders: Vec::new(),
        inherited: None,
        kept_by: None,
        on_behalf_of: None,
    };
    let holder = format!("{}[{}]", way.owner.comm, way.owner.pid);
    let unit = way.owner.unit.as_deref().unwrap_or("its service");
    let (summary, because, remedies) = match way.cause {
        Cause::TimeWait => (
            format!("a TIME_WAIT that {holder} left keeps port {port}"),
            "SO_REUSEADDR is not set on the socket that binds",
            vec!["set SO_REUSEADDR before bind()".to_owned()],
        ),
        Cause::InheritedDescriptor => (
            format!("{holder} has the listener of 0.0.0.0:{port} from its parent, which has ended"),
            "the port has a listener, and SO_REUSEPORT is not set on both sockets",
            vec![
                format!("end {holder}"),
                "open listeners with SOCK_CLOEXEC".to_owned(),
            ],
        ),
        _ => (
            format!("{holder} listens on 0.0.0.0:{port}"),
            "the port has a listener, and SO_REUSEPORT is not set on both sockets",
            vec![format!("stop {unit}"), "use another port".to_owned()],
        ),
    };
    let counts = BlockerCounts {
        listen: u32::from(alive),
        time_wait: u32::from(!alive),
        ..BlockerCounts::default()
    };
    Attempt {
        result: "EADDRINUSE".to_owned(),
        errno: 98,
        bound_port: None,
        failure: Some(Failure {
            blockers: vec![blocker],
            blocker_counts: Some(counts),
            range_use: None,
            unix: None,
            released: None,
            verdict: Some(Verdict {
                cause: way.cause,
                also: Vec::new(),
                confidence: Certainty::Walked,
                summary,
                because: because.to_owned(),
                remedies,
                would_succeed_if: vec![format!("{holder} had closed 0.0.0.0:{port}")],
            }),
            episode: Some(episode),
        }),
        ..attempt(op, process, port, 0)
    }
}
