//! Watched ports that are taken and released, and what that says of `TIME_WAIT`s.

use portwatch_common::event::port::{Port as RawPort, action, flag as port_flag, how};

use super::{time_waits::inferred, *};
use crate::model::{
    port::{Action, How, Port, Reason as Left},
    socket::Proto,
    time_wait::{Action as Change, Reason, ReusedBy, TimeWait},
};
use crate::samples;

/// A connection of 127.0.0.1:8080 to port 40000.
fn event(action: u32, how: u32, at_s: u64) -> RawPort {
    let mut socket = socket(0, state::ESTABLISHED, 8080);
    socket.cookie = 88;
    socket.local = endpoint(Ipv4Addr::LOCALHOST, 8080);
    socket.remote = endpoint(Ipv4Addr::LOCALHOST, 40_000);
    RawPort {
        header: Header {
            boot_ns: at_s * SECOND,
            ..Header::default()
        },
        socket,
        action,
        how,
        ..RawPort::default()
    }
}

fn told(assembler: &mut Assembler<Fake>, raw: RawPort) -> (Option<TimeWait>, Port) {
    let mut before = None;
    let event = Event::Port(Box::new(raw));
    let mut seq = 0;
    for record in assembler.event(&event) {
        assert!(record.seq > seq);
        seq = record.seq;
        match record.body {
            Body::TimeWait(time_wait) => before = Some(*time_wait),
            Body::Port(port) => return (before, *port),
            other => panic!("{other:?}"),
        }
    }
    panic!("no record of the port");
}

fn with_time_wait() -> Assembler<Fake> {
    let mut assembler = assembler();
    assert_eq!(time_waits::told(&mut assembler, inferred(100, 60)).len(), 1);
    assembler
}

#[test]
fn who_takes_a_port_is_named() {
    let mut assembler = assembler();
    let listener = bound_by_server();
    let mut raw = event(action::TAKEN, how::BIND, 20);
    raw.socket = listener.socket;
    raw.owner = listener.owner;
    raw.flags = port_flag::INFERRED;
    let (before, port) = told(&mut assembler, raw);
    assert_eq!(before, None);
    assert_eq!(
        (port.action, port.proto, port.how, port.remote, port.reason),
        (Action::Taken, Proto::Tcp, Some(How::Bind), None, None)
    );
    assert_eq!(port.local.to_string(), "0.0.0.0:8080");
    assert!(port.inferred);
    assert_eq!(port.since, None);
    let owner = port.owner.unwrap();
    assert_eq!((owner.process.pid, owner.source), (10, Source::Observed));
    raw.action = action::RELEASED;
    let (_, port) = told(&mut assembler, raw);
    assert_eq!(port.since.unwrap(), "1970-01-01T00:00:20.000000000Z");
}

#[test]
fn whoever_had_it_before_tracing_is_named_when_it_is_released() {
    let mut assembler = assembler();
    assembler.snapshot(&[open(20, 3, 500)]);
    let mut raw = event(action::RELEASED, how::UNKNOWN, 20);
    raw.socket = socket(500, state::CLOSE, 8080);
    let (_, port) = told(&mut assembler, raw);
    assert_eq!(
        (port.action, port.how, port.since, port.reason),
        (Action::Released, None, None, Some(Left::Closed))
    );
    let owner = port.owner.unwrap();
    assert_eq!((owner.process.pid, owner.source), (20, Source::Snapshot));
}

#[test]
fn a_new_connection_ends_the_time_wait_of_the_last() {
    for (how, by) in [
        (how::CONNECT, ReusedBy::Connect),
        (how::ACCEPT, ReusedBy::Syn),
    ] {
        let mut assembler = with_time_wait();
        let (before, port) = told(&mut assembler, event(action::TAKEN, how, 130));
        let left = before.unwrap();
        assert_eq!(left.action, Change::Leave);
        assert_eq!(
            (left.reason, left.reused_by, left.lasted_ms, left.inferred),
            (Some(Reason::Reused), Some(by), Some(30_000), true)
        );
        assert_eq!(left.cookie.map(|cookie| cookie.0), Some(77));
        assert_eq!(port.cookie.map(|cookie| cookie.0), Some(88));
        assert_eq!(told(&mut assembler, event(action::TAKEN, how, 131)).0, None);
        assert_eq!(assembler.tick(500 * SECOND).count(), 0);
    }
}

#[test]
fn a_bound_socket_that_connects_ends_it_too_and_takes_nothing() {
    let mut assembler = with_time_wait();
    let event = Event::Port(Box::new(event(action::CONNECTED, how::CONNECT, 130)));
    let records: Vec<_> = assembler.event(&event).collect();
    let [record] = &records[..] else {
        panic!("{records:?}")
    };
    let Body::TimeWait(left) = &record.body else {
        panic!("{record:?}")
    };
    assert_eq!(
        (left.action, left.reason, left.reused_by),
        (Change::Leave, Some(Reason::Reused), Some(ReusedBy::Connect))
    );
}

#[test]
fn what_was_overdue_may_have_expired_before() {
    let mut assembler = with_time_wait();
    let (before, _) = told(&mut assembler, event(action::TAKEN, how::ACCEPT, 160));
    let left = before.unwrap();
    assert_eq!((left.reason, left.reused_by), (None, None));
    assert_eq!(left.lasted_ms, Some(60_000));
}

#[test]
fn only_a_new_connection_of_the_same_ends_takes_its_place() {
    let mut assembler = with_time_wait();
    let mut other_peer = event(action::TAKEN, how::ACCEPT, 130);
    other_peer.socket.remote.port = 40_001;
    let mut other_netns = event(action::TAKEN, how::ACCEPT, 130);
    other_netns.socket.netns += 1;
    let mut its_own = event(action::TAKEN, how::ACCEPT, 130);
    its_own.socket.cookie = 77;
    let mut udp = event(action::TAKEN, how::CONNECT, 130);
    udp.socket.protocol = 17;
    udp.socket.socket_type = 2;
    let bound = event(action::TAKEN, how::BIND, 130);
    for raw in [other_peer, other_netns, its_own, udp, bound] {
        assert_eq!(told(&mut assembler, raw).0, None);
    }
    let mapped = {
        let mut raw = event(action::TAKEN, how::ACCEPT, 130);
        for end in [&mut raw.socket.local, &mut raw.socket.remote] {
            end.family = portwatch_common::endpoint::AF_INET6;
            end.addr = Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets();
        }
        raw
    };
    assert!(told(&mut assembler, mapped).0.is_some());
}

#[test]
fn a_connection_that_leaves_a_time_wait_does_not_free_the_port() {
    let mut assembler = with_time_wait();
    let released = event(action::RELEASED, how::UNKNOWN, 100);
    let mut its_own = released;
    its_own.socket.cookie = 77;
    let mut unnamed = released;
    unnamed.socket.cookie = 0;
    let mut other_peer = its_own;
    other_peer.socket.remote.port = 40_001;
    let mut listener = its_own;
    listener.socket.remote = Endpoint::NONE;
    let expected = [
        (its_own, Some(Left::TimeWait)),
        (unnamed, Some(Left::TimeWait)),
        (released, None),
        (other_peer, None),
        (listener, Some(Left::Closed)),
    ];
    for (raw, reason) in expected {
        assert_eq!(told(&mut assembler, raw).1.reason, reason);
    }
    // That there is none is known where they are seen.
    assembler.record(0, samples::start().body);
    assert_eq!(told(&mut assembler, other_peer).1.reason, None);
    let Body::Start(mut start) = samples::start().body else {
        panic!("no start");
    };
    let hook = start.hooks["attempts"].clone();
    start.hooks.insert("time_waits".to_owned(), hook);
    assembler.record(0, Body::Start(start));
    assert_eq!(
        told(&mut assembler, other_peer).1.reason,
        Some(Left::Closed)
    );
    assert_eq!(told(&mut assembler, its_own).1.reason, Some(Left::TimeWait));
}

#[test]
fn what_is_no_port_gives_no_record() {
    let mut assembler = assembler();
    let mut nowhere = event(action::TAKEN, how::BIND, 1);
    nowhere.socket.local = Endpoint::NONE;
    for raw in [nowhere, event(9, how::BIND, 1)] {
        assert_eq!(assembler.event(&Event::Port(Box::new(raw))).count(), 0);
    }
    assert_eq!(told(&mut assembler, event(action::TAKEN, 9, 1)).1.how, None);
}
