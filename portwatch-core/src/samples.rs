//! Records that the tests of several crates share.

#![allow(
    missing_docs,
    clippy::must_use_candidate,
    clippy::missing_panics_doc,
    clippy::return_self_not_must_use,
    clippy::unwrap_used,
    reason = "for tests; the names say it"
)]

mod log;

use crate::prelude::*;
use alloc::collections::BTreeMap;

pub use log::{all, episode};

use crate::model::{
    attempt::{Attempt, Blocker, BlockerCounts, Facts, Failure, Op, SocketId},
    episode::{Episode, Outcome, Segment},
    freed::{Freed, FreedHow},
    number::Big,
    port::{self, Port},
    process::{Container, Holder, Owner, Process, Source},
    record::{Body, Degradation, Filters, Hook, Lost, Record, Start, Stop},
    socket::{Address, Proto, SocketOption, State},
    time_wait::{self, TimeWait},
    verdict::{Cause, Certainty, Clause, Verdict},
};

/// Boot time of the samples' records.
pub const BOOT_NS: u64 = 300_000_000_000_000;

pub fn record(seq: u64, body: Body) -> Record {
    Record {
        seq,
        time: "2026-11-21T12:03:41.118000000Z".to_owned(),
        boot_ns: Big(BOOT_NS),
        body,
    }
}

pub fn start() -> Record {
    record(
        1,
        Body::Start(Box::new(Start {
            version: "0.1.0".to_owned(),
            host: "web1".to_owned(),
            boot_id: Some("0b0c1d2e-3f40-4152-8637-485960a1b2c3".to_owned()),
            kernel: "6.12.48-cloud-amd64".to_owned(),
            arch: "x86_64".to_owned(),
            netns: Some(4_026_531_840),
            hooks: BTreeMap::from([(
                "attempts".to_owned(),
                Hook {
                    tier: "tracepoint".to_owned(),
                    level: "exact".to_owned(),
                    attached: vec!["tracepoint:syscalls:sys_exit_bind".to_owned()],
                },
            )]),
            degraded: vec![Degradation {
                what: "UDP release".to_owned(),
                why: "no tracepoint sees a UDP socket give its port back".to_owned(),
            }],
            filters: Filters {
                ports: vec![[8000, 8100]],
                ..Filters::default()
            },
        })),
    )
}

pub fn process(comm: &str, pid: u32) -> Process {
    Process {
        pid,
        tid: None,
        ppid: Some(1),
        comm: comm.to_owned(),
        exe: Some(format!("/usr/bin/{comm}")),
        cmdline: None,
        uid: Some(1000),
        user: Some("app".to_owned()),
        start_boot_ns: Some(Big(BOOT_NS - 273_600_000_000_000)),
        cgroup: Some(format!("/system.slice/{comm}.service")),
        unit: Some(format!("{comm}.service")),
        container: None,
        netns: Some(4_026_531_840),
        ancestors: Vec::new(),
        ns_pid: None,
    }
}

pub fn container(runtime: &str) -> Container {
    Container {
        id: "4f2a6d1b9c3e8f70a1b2c3d4e5f60718293a4b5c6d7e8f901234567890abcdef".to_owned(),
        runtime: Some(runtime.to_owned()),
        pod: None,
    }
}

pub fn attempt() -> Attempt {
    Attempt {
        op: Op::Bind,
        result: "ok".to_owned(),
        errno: 0,
        stage: None,
        proto: Proto::Tcp,
        addr: Some("0.0.0.0".to_owned()),
        port: Some(8080),
        bound_port: Some(8080),
        netns: Some(4_026_531_840),
        device: None,
        options: vec![SocketOption::ReuseAddr],
        process: Process {
            tid: Some(4182),
            ..process("node", 4182)
        },
        socket: SocketId {
            fd: Some(18),
            inode: Some(88_213),
            cookie: Some(Big(4_098)),
        },
        facts: Facts {
            began_boot_ns: Some(Big(BOOT_NS - 21_000)),
            socket_uid: Some(1000),
            port_range: Some([32768, 60999]),
            port_reserved: Some(false),
            unprivileged_port_start: Some(1024),
            ..Facts::default()
        },
        failure: None,
        netns_cookie: None,
        netns_name: None,
    }
}

pub fn listener() -> Blocker {
    let owner = Process {
        cmdline: Some(["java", "-jar", "/srv/app.jar"].map(str::to_owned).to_vec()),
        cgroup: Some("/system.slice/tomcat.service".to_owned()),
        unit: Some("tomcat.service".to_owned()),
        ..process("java", 977)
    };
    Blocker {
        state: State::Listen,
        substate: None,
        local: address("0.0.0.0", 8080),
        remote: None,
        options: vec![SocketOption::ReuseAddr],
        uid: Some(1000),
        inode: Some(21_077),
        cookie: Some(Big(17)),
        since: None,
        scope_id: None,
        device: None,
        device_index: 0,
        expires_in_ms: None,
        connected_out: Some(false),
        port_bound: Some(true),
        kernel_socket: false,
        kernel_refused: false,
        primary: true,
        conflicts: Some(true),
        came_later: false,
        clause: Clause::Listening,
        certainty: Certainty::Exact,
        owner: Some(Owner {
            process: owner.clone(),
            alive: Some(true),
            source: Source::Snapshot,
            stopping: None,
        }),
        holders: vec![Holder {
            process: owner,
            fd: 12,
        }],
        inherited: None,
        kept_by: None,
        on_behalf_of: None,
    }
}

/// A `TIME_WAIT` of a server that has exited.
pub fn time_wait() -> Blocker {
    let owner = process("python3", 3977);
    Blocker {
        state: State::TimeWait,
        substate: Some(State::TimeWait),
        local: address("10.0.0.1", 8080),
        remote: Some(address("10.0.0.9", 51_234)),
        options: Vec::new(),
        uid: None,
        inode: None,
        since: Some("2026-11-21T12:03:22.000000000Z".to_owned()),
        expires_in_ms: Some(41_900),
        port_bound: None,
        clause: Clause::OtherLacksReuseAddr,
        certainty: Certainty::Walked,
        owner: Some(Owner {
            process: owner,
            alive: Some(false),
            source: Source::Observed,
            stopping: None,
        }),
        holders: Vec::new(),
        ..listener()
    }
}

/// A second conflicting socket, that is not the one to act on.
pub fn other(blocker: Blocker) -> Blocker {
    Blocker {
        primary: false,
        ..blocker
    }
}

pub fn address(addr: &str, port: u16) -> Address {
    Address {
        addr: addr.parse().unwrap(),
        port,
    }
}

pub fn verdict() -> Verdict {
    Verdict {
        cause: Cause::LiveListener,
        also: vec![Cause::TimeWait],
        confidence: Certainty::Exact,
        summary: "java[977] listens on 0.0.0.0:8080".to_owned(),
        because: "the port has a listener, and SO_REUSEPORT is not set on both sockets".to_owned(),
        remedies: vec![
            "stop tomcat.service".to_owned(),
            "use another port".to_owned(),
        ],
        would_succeed_if: vec![
            "java[977] had closed 0.0.0.0:8080".to_owned(),
            "both set SO_REUSEPORT as the same user".to_owned(),
        ],
    }
}

/// A failed attempt with these blockers.
pub fn conflict(blockers: Vec<Blocker>, verdict: Option<Verdict>) -> Attempt {
    let count = |state| {
        blockers
            .iter()
            .filter(|blocker| blocker.state == state)
            .count() as u32
    };
    let blocker_counts = BlockerCounts {
        listen: count(State::Listen),
        established: count(State::Established),
        time_wait: count(State::TimeWait),
        ..BlockerCounts::default()
    };
    Attempt {
        result: "EADDRINUSE".to_owned(),
        errno: 98,
        bound_port: None,
        failure: Some(Failure {
            blockers,
            blocker_counts: Some(blocker_counts),
            range_use: None,
            verdict,
            episode: None,
            unix: None,
            released: None,
        }),
        ..attempt()
    }
}

/// A failed attempt without a blocker.
pub fn refused(result: &str, errno: u32, verdict: Option<Verdict>) -> Attempt {
    Attempt {
        result: result.to_owned(),
        errno,
        bound_port: None,
        failure: Some(Failure {
            blockers: Vec::new(),
            blocker_counts: None,
            range_use: None,
            verdict,
            episode: None,
            unix: None,
            released: None,
        }),
        ..attempt()
    }
}

pub fn lost(kind: &str) -> Record {
    record(
        7,
        Body::Lost(Lost {
            kind: kind.to_owned(),
            count: 37,
            from: "2026-11-21T12:03:39.000000000Z".to_owned(),
            to: "2026-11-21T12:03:41.000000000Z".to_owned(),
        }),
    )
}

pub fn stop() -> Record {
    record(
        9,
        Body::Stop(Stop {
            seen: 120,
            submitted: 81,
            lost: 37,
            filtered: 2,
            missed: Some(0),
            failures: BTreeMap::from([(Cause::LiveListener, 2), (Cause::TimeWait, 1)]),
            evicted: BTreeMap::from([("sockets".to_owned(), 3)]),
        }),
    )
}

pub fn of(attempt: Attempt) -> Record {
    record(2, Body::Attempt(Box::new(attempt)))
}

/// A port that a server bound.
pub fn taken() -> Port {
    Port {
        action: port::Action::Taken,
        proto: Proto::Tcp,
        local: address("127.0.0.1", 8080),
        remote: None,
        netns: 4_026_531_840,
        how: Some(port::How::Bind),
        owner: Some(owner(true)),
        since: None,
        reason: None,
        cookie: Some(Big(4_099)),
        inferred: false,
    }
}

/// The port of a connection that left a `TIME_WAIT`.
pub fn released() -> Port {
    Port {
        action: port::Action::Released,
        remote: Some(address("127.0.0.1", 40_000)),
        how: None,
        reason: Some(port::Reason::TimeWait),
        cookie: Some(Big(4_100)),
        ..taken()
    }
}

/// A `TIME_WAIT` that has begun.
pub fn entered() -> TimeWait {
    TimeWait {
        action: time_wait::Action::Enter,
        local: address("127.0.0.1", 8080),
        remote: address("127.0.0.1", 40_000),
        netns: 4_026_531_840,
        substate: Some(State::TimeWait),
        expires_in_ms: Some(60_000),
        lasted_ms: None,
        owner: Some(owner(false)),
        reason: None,
        reused_by: None,
        cookie: Some(Big(4_100)),
        inferred: false,
    }
}

/// The same, over.
pub fn left(reason: Option<time_wait::Reason>) -> TimeWait {
    TimeWait {
        action: time_wait::Action::Leave,
        expires_in_ms: None,
        lasted_ms: Some(60_512),
        reason,
        ..entered()
    }
}

fn owner(alive: bool) -> Owner {
    Owner {
        process: process("python3", 3977),
        alive: Some(alive),
        source: Source::Observed,
        stopping: None,
    }
}

pub fn of_port(port: Port) -> Record {
    record(4, Body::Port(Box::new(port)))
}

pub fn of_time_wait(time_wait: TimeWait) -> Record {
    record(5, Body::TimeWait(Box::new(time_wait)))
}

/// A failure of the episode `episode`.
pub fn retried(attempt: Attempt, episode: u64) -> Attempt {
    let failure = attempt.failure.map(|failure| Failure {
        episode: Some(episode),
        ..failure
    });
    Attempt { failure, ..attempt }
}

/// An episode that ended well: a server had the port, and then its `TIME_WAIT`.
pub fn ended_episode() -> Episode {
    let server = process("python3", 3977);
    let spell = |cause, ms, attempts| Segment {
        cause: Some(cause),
        owner: Some(server.clone()),
        ms,
        attempts,
    };
    Episode {
        id: 1,
        process: process("node", 4182),
        proto: Proto::Tcp,
        addr: Some("0.0.0.0".to_owned()),
        port: Some(8080),
        netns: Some(4_026_531_840),
        first: "2026-11-21T12:02:39.918000000Z".to_owned(),
        last: "2026-11-21T12:03:41.118000000Z".to_owned(),
        attempts: 62,
        processes: 1,
        outcome: Outcome::Bound,
        blocked_ms: 61_200,
        by: vec![
            spell(Cause::LiveListener, 12_000, 12),
            spell(Cause::TimeWait, 49_200, 49),
        ],
        by_omitted: 0,
        freed_by: Some(Freed {
            how: FreedHow::TimeWaitOver,
            time: "2026-11-21T12:03:41.002000000Z".to_owned(),
            owner: Some(server),
            local: address("10.0.0.1", 8080),
            remote: Some(address("10.0.0.9", 51_234)),
        }),
    }
}

pub fn of_ended(episode: Episode) -> Record {
    record(6, Body::Episode(Box::new(episode)))
}
