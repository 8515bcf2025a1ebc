//! Records assembled from made-up events, on a made-up machine.

use crate::prelude::*;
use core::net::Ipv4Addr;

use portwatch_common::{
    endpoint::{AF_INET, AF_UNIX, Endpoint},
    event::{
        Header,
        attempt::{self as raw, Candidate, Conflict},
        owner::{Owner as RawOwner, role},
        process::{Exit, Task},
        socket::{Socket, flag, state},
    },
};
use zerocopy::FromZeros;

use self::fake::Fake;
use super::{Assembler, Descriptor, KeeperFound, Managed, UnixFound};
use crate::{
    clock::Clock,
    decode::Event,
    model::{
        attempt::{Attempt, Blocker, Failure},
        process::Source,
        record::Body,
        verdict::Cause,
    },
    verdict::recheck,
};

mod episodes;
mod fake;
mod inheritance;
mod lineages;
mod ports;
mod proxies;
mod stages;
mod time_waits;

const NETNS: u32 = 4_026_531_840;
const SECOND: u64 = 1_000_000_000;

fn assembler() -> Assembler<Fake> {
    Assembler::new(Fake::default(), Clock::from_sample(0, 0))
}

fn comm(name: &str) -> [u8; 16] {
    let mut comm = [0; 16];
    comm[..name.len()].copy_from_slice(name.as_bytes());
    comm
}

fn task(pid: u32, start_s: u64, name: &str) -> Task {
    let mut task = Task::new_zeroed();
    task.tgid = pid;
    task.tid = pid;
    task.start_boot_ns = start_s * SECOND;
    task.comm = comm(name);
    task.leader_comm = comm(name);
    task
}

fn endpoint(addr: Ipv4Addr, port: u16) -> Endpoint {
    let mut endpoint = Endpoint {
        family: AF_INET,
        port,
        ..Endpoint::NONE
    };
    endpoint.addr[..4].copy_from_slice(&addr.octets());
    endpoint
}

fn socket(inode: u64, state: u8, port: u16) -> Socket {
    Socket {
        sk: inode,
        inode,
        netns: NETNS,
        state,
        protocol: 6,
        socket_type: 1,
        flags: flag::UID_KNOWN | flag::HAS_SOCKET | flag::HAS_FILE | flag::BINDPORT_LOCK,
        local: endpoint(Ipv4Addr::UNSPECIFIED, port),
        ..Socket::NONE
    }
}

/// A bind of 0.0.0.0:8080 that takes a microsecond and ends at `at_s`.
fn bind(task: Task, inode: u64, errno: u32, at_s: u64) -> raw::Attempt {
    let mut attempt = raw::Attempt::new_zeroed();
    attempt.header = Header {
        boot_ns: at_s * SECOND,
        ..Header::default()
    };
    attempt.enter_ns = at_s * SECOND - 1000;
    attempt.returned_ns = at_s * SECOND;
    attempt.task = task;
    attempt.op = raw::op::BIND;
    attempt.errno = errno;
    attempt.fd = 3;
    attempt.requested = endpoint(Ipv4Addr::UNSPECIFIED, 8080);
    attempt.socket = socket(inode, state::CLOSE, if errno == 0 { 8080 } else { 0 });
    attempt
}

fn refused(attempt: &raw::Attempt, candidates: &[Candidate]) -> Event {
    let mut conflict = Conflict::new_box_zeroed().unwrap();
    conflict.attempt = *attempt;
    conflict.walk.flags = raw::walk::BUCKET_FOUND;
    conflict.walk.candidates_len = u32::try_from(candidates.len()).unwrap();
    conflict.walk.candidates[..candidates.len()].copy_from_slice(candidates);
    for candidate in candidates {
        conflict.walk.counts[usize::from(candidate.socket.state)] += 1;
    }
    Event::Conflict(conflict)
}

fn candidate(socket: Socket) -> Candidate {
    Candidate {
        socket,
        owner: RawOwner::NONE,
    }
}

/// A listener on 8080, bound by pid 10 ("server", started at 1 s) at 20 s.
fn bound_by_server() -> Candidate {
    let owner = RawOwner {
        key: 500,
        seal: 0,
        since_ns: 20 * SECOND,
        start_boot_ns: SECOND,
        tgid: 10,
        roles: role::BOUND,
        comm: comm("server"),
        ..RawOwner::NONE
    };
    Candidate {
        socket: socket(500, state::LISTEN, 8080),
        owner,
    }
}

fn attempt_of(assembler: &mut Assembler<Fake>, event: &Event) -> Attempt {
    match assembler.event(event).next().map(|record| record.body) {
        Some(Body::Attempt(attempt)) => {
            assert_eq!(recheck(&attempt), []);
            *attempt
        }
        other => panic!("{other:?}"),
    }
}

fn failure(attempt: &Attempt) -> &Failure {
    attempt.failure.as_ref().unwrap()
}

fn primary(attempt: &Attempt) -> &Blocker {
    failure(attempt)
        .blockers
        .iter()
        .find(|blocker| blocker.primary)
        .unwrap()
}

fn open(pid: u32, start_s: u64, inode: u64) -> Descriptor {
    Descriptor {
        pid,
        start_boot_ns: start_s * SECOND,
        comm: format!("holder{pid}"),
        fd: 7,
        inode,
        netns: NETNS,
        port: 8080,
        udp: false,
    }
}

#[test]
fn who_bound_the_port_is_named_with_the_time() {
    let mut assembler = assembler();
    assembler.surroundings().open = vec![open(10, 1, 500)];
    let listener = bound_by_server();
    let attempt = attempt_of(
        &mut assembler,
        &refused(&bind(task(11, 2, "late"), 501, 98, 30), &[listener]),
    );
    let blocker = primary(&attempt);
    let owner = blocker.owner.as_ref().unwrap();
    assert_eq!(
        (owner.process.pid, owner.source, owner.alive),
        (10, Source::Observed, Some(true))
    );
    assert_eq!(
        blocker.since.as_deref(),
        Some("1970-01-01T00:00:20.000000000Z")
    );
    assert_eq!(blocker.holders.len(), 1);
    assert_eq!(
        failure(&attempt).verdict.as_ref().unwrap().cause,
        Cause::LiveListener
    );
}

#[test]
fn a_holder_from_before_has_no_since_and_the_oldest_owns() {
    let mut assembler = assembler();
    assembler.snapshot(&[open(21, 9, 500), open(20, 3, 500)]);
    assembler.surroundings().open = vec![open(21, 9, 500), open(20, 3, 500)];
    let listener = candidate(socket(500, state::LISTEN, 8080));
    let attempt = attempt_of(
        &mut assembler,
        &refused(&bind(task(11, 2, "late"), 501, 98, 30), &[listener]),
    );
    let blocker = primary(&attempt);
    let owner = blocker.owner.as_ref().unwrap();
    assert_eq!((owner.process.pid, owner.source), (20, Source::Snapshot));
    assert_eq!(blocker.since, None);
    assert_eq!(blocker.holders.len(), 2);
}

#[test]
fn a_binder_that_has_passed_its_socket_on_does_not_own_it() {
    let mut assembler = assembler();
    assembler.surroundings().open = vec![open(30, 25, 500)];
    let listener = bound_by_server();
    let attempt = attempt_of(
        &mut assembler,
        &refused(&bind(task(11, 2, "late"), 501, 98, 30), &[listener]),
    );
    let owner = primary(&attempt).owner.as_ref().unwrap();
    assert_eq!((owner.process.pid, owner.source), (30, Source::Iterator));
}

#[test]
fn an_owner_that_is_gone_keeps_its_name() {
    let mut assembler = assembler();
    assembler.surroundings().alive.insert(10, SECOND);
    assembler.learn(10, SECOND, "server");
    let listener = bound_by_server();
    let event = refused(&bind(task(11, 2, "late"), 501, 98, 30), &[listener]);
    let exit = Exit {
        tgid: 10,
        start_boot_ns: SECOND,
        ..Exit::new_zeroed()
    };
    assembler.event(&Event::Exit(exit));
    let attempt = attempt_of(&mut assembler, &event);
    let owner = primary(&attempt).owner.as_ref().unwrap();
    assert_eq!(
        (owner.process.comm.as_str(), owner.alive),
        ("server", Some(false))
    );
}

#[test]
fn a_reused_pid_is_not_the_owner() {
    let mut assembler = assembler();
    // The pid lives, but it started later.
    assembler.surroundings().alive.insert(10, 25 * SECOND);
    let listener = bound_by_server();
    let event = refused(&bind(task(11, 2, "late"), 501, 98, 30), &[listener]);
    let attempt = attempt_of(&mut assembler, &event);
    let owner = primary(&attempt).owner.as_ref().unwrap();
    assert_eq!(
        (owner.process.comm.as_str(), owner.alive),
        ("server", Some(false))
    );
}

#[test]
fn what_came_after_the_attempt_began_is_never_blamed() {
    let mut assembler = assembler();
    let mut late = bind(task(11, 2, "late"), 501, 98, 30);
    late.returned_ns = 10 * SECOND;
    let listener = bound_by_server();
    let attempt = attempt_of(&mut assembler, &refused(&late, &[listener]));
    assert!(
        failure(&attempt)
            .blockers
            .iter()
            .all(|blocker| blocker.came_later && !blocker.primary)
    );
    assert_eq!(
        failure(&attempt).verdict.as_ref().unwrap().cause,
        Cause::Unknown
    );
}

fn time_wait(connected: bool) -> Candidate {
    let socket = Socket {
        inode: 0,
        cookie: 77,
        flags: flag::CONNECT_BIND_KNOWN,
        substate: state::TIME_WAIT,
        expires_in_jiffies: 250 * 41,
        remote: endpoint(Ipv4Addr::LOCALHOST, 40000),
        ..socket(0, state::TIME_WAIT, 8080)
    };
    let socket = Socket {
        flags: flag::CONNECT_BIND_KNOWN,
        ..socket
    };
    let mut owner = RawOwner {
        key: 77,
        seal: 0,
        tgid: 10,
        ..RawOwner::NONE
    };
    owner.start_boot_ns = SECOND;
    owner.comm = comm("server");
    owner.roles = if connected {
        role::CONNECTED | role::CLOSED
    } else {
        role::CLOSED
    };
    owner.since_ns = if connected { 15 * SECOND } else { 0 };
    owner.closed_ns = 18 * SECOND;
    Candidate { socket, owner }
}

#[test]
fn a_time_wait_names_who_left_it_and_how_long_it_lasts() {
    let mut assembler = assembler();
    let mut event = refused(&bind(task(11, 2, "late"), 501, 98, 30), &[time_wait(false)]);
    if let Event::Conflict(conflict) = &mut event {
        conflict.walk.flags |= raw::walk::HAD_LISTENER;
    }
    let attempt = attempt_of(&mut assembler, &event);
    let blocker = primary(&attempt);
    assert_eq!(blocker.expires_in_ms, Some(41_000));
    assert_eq!(blocker.connected_out, Some(false));
    let owner = blocker.owner.as_ref().unwrap();
    assert_eq!(
        (owner.process.comm.as_str(), owner.alive),
        ("server", Some(false))
    );
    assert_eq!(
        failure(&attempt).verdict.as_ref().unwrap().cause,
        Cause::TimeWait
    );
}

#[test]
fn a_time_wait_of_a_client_is_told_from_one_of_a_server() {
    let mut assembler = assembler();
    let event = refused(&bind(task(11, 2, "late"), 501, 98, 30), &[time_wait(true)]);
    let attempt = attempt_of(&mut assembler, &event);
    let blocker = primary(&attempt);
    assert_eq!(blocker.connected_out, Some(true));
    assert_eq!(
        blocker.since.as_deref(),
        Some("1970-01-01T00:00:15.000000000Z")
    );
    assert_eq!(
        failure(&attempt).verdict.as_ref().unwrap().cause,
        Cause::EphemeralTimeWait
    );
}

#[test]
fn without_proof_nothing_is_said_about_where_a_port_came_from() {
    let mut assembler = assembler();
    let event = refused(&bind(task(11, 2, "late"), 501, 98, 30), &[time_wait(false)]);
    let attempt = attempt_of(&mut assembler, &event);
    assert_eq!(primary(&attempt).connected_out, None);
}

#[test]
fn unix_paths_are_told_as_they_were_asked_for() {
    let with = |path: &[u8]| {
        let mut attempt = bind(task(11, 2, "late"), 501, 98, 30);
        attempt.requested = Endpoint {
            family: AF_UNIX,
            ..Endpoint::NONE
        };
        attempt.socket.local = attempt.requested;
        attempt.addrlen = 2 + u32::try_from(path.len()).unwrap();
        attempt.sockaddr[2..2 + path.len()].copy_from_slice(path);
        attempt_of(&mut assembler(), &Event::Attempt(Box::new(attempt))).addr
    };
    assert_eq!(with(b"/run/x.sock\0\0\0").as_deref(), Some("/run/x.sock"));
    assert_eq!(with(b"\0abstract").as_deref(), Some("@abstract"));
    assert_eq!(with(b"").as_deref(), Some(""));
}

#[test]
fn records_are_numbered_from_one() {
    let mut assembler = assembler();
    let event = Event::Attempt(Box::new(bind(task(10, 1, "server"), 500, 0, 20)));
    let seq: Vec<_> = assembler.event(&event).map(|record| record.seq).collect();
    assert_eq!(seq, [1]);
    let seq: Vec<_> = assembler.event(&event).map(|record| record.seq).collect();
    assert_eq!(seq, [2]);
}

#[test]
fn who_has_the_automatic_range_is_counted_by_port() {
    let mut assembler = assembler();
    let at = |pid, inode, port| Descriptor {
        port,
        ..open(pid, 1, inode)
    };
    assembler.surroundings().open = vec![
        at(20, 1, 40_000),
        at(20, 2, 40_000),
        at(21, 3, 40_001),
        at(21, 4, 40_002),
        at(21, 5, 50_000),
        Descriptor {
            udp: true,
            ..at(22, 6, 40_003)
        },
    ];
    let mut bind = bind(task(11, 2, "late"), 501, 98, 30);
    bind.requested.port = 0;
    bind.flags = raw::flag::NETNS_READ;
    bind.netns.range_low = 40_000;
    bind.netns.range_high = 40_003;
    let attempt = attempt_of(&mut assembler, &refused(&bind, &[]));
    let range = failure(&attempt).range_use.as_ref().unwrap();
    assert_eq!((range.size, range.open), (4, 3));
    let by: Vec<_> = range
        .by
        .iter()
        .map(|user| (user.process.pid, user.ports))
        .collect();
    assert_eq!(by, [(21, 2), (20, 1)]);
    let verdict = failure(&attempt).verdict.as_ref().unwrap();
    assert_eq!(verdict.cause, Cause::EphemeralExhausted);

    // A name of the unix family has no port, and the record 0 in its place.
    bind.requested.family = AF_UNIX;
    let attempt = attempt_of(&mut assembler, &refused(&bind, &[]));
    assert_eq!(failure(&attempt).range_use, None);
}
