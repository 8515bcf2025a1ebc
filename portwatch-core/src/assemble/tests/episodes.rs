//! Retries that become episodes.

use crate::words::errno;
use portwatch_common::{
    endpoint::Endpoint,
    event::{
        port::{self as raw_port, action},
        time_wait as raw_time_wait,
    },
};

use super::*;
use crate::model::{
    episode::{Episode, Outcome},
    freed::FreedHow,
    record::{Filters, Hook, Lost, Record, Start},
};

/// `bind()` of pid 11 at so many seconds.
fn retry(at_s: u64, errno: u32) -> raw::Attempt {
    bind(task(11, 2, "late"), 501, errno, at_s)
}

fn refusal(at_s: u64) -> Event {
    refused(&retry(at_s, 98), &[bound_by_server()])
}

fn success(at_s: u64) -> Event {
    Event::Attempt(Box::new(retry(at_s, 0)))
}

fn bodies(assembler: &mut Assembler<Fake>, event: &Event) -> Vec<Body> {
    assembler.event(event).map(|record| record.body).collect()
}

/// Numbers of the episodes of these failures.
fn numbers(assembler: &mut Assembler<Fake>, events: &[Event]) -> Vec<Option<u64>> {
    let mut numbers = Vec::new();
    for event in events {
        let attempt = attempt_of(assembler, event);
        numbers.push(failure(&attempt).episode);
    }
    numbers
}

/// The episode that ends with this event, right behind its attempt.
fn ended_by(assembler: &mut Assembler<Fake>, event: &Event) -> Episode {
    match &mut bodies(assembler, event)[..] {
        [Body::Attempt(_), Body::Episode(episode)] => (**episode).clone(),
        other => panic!("{other:?}"),
    }
}

fn episodes(records: impl Iterator<Item = Record>) -> Vec<Episode> {
    let episode = |record: Record| match record.body {
        Body::Episode(episode) => Some(*episode),
        _ => None,
    };
    records.filter_map(episode).collect()
}

fn at_the_end(assembler: &mut Assembler<Fake>, at_s: u64) -> Vec<Episode> {
    episodes(assembler.finish(at_s * SECOND))
}

fn released(at_s: u64, owner: RawOwner, socket: Socket) -> Event {
    Event::Port(Box::new(raw_port::Port {
        header: Header {
            boot_ns: at_s * SECOND,
            ..Header::default()
        },
        socket,
        owner,
        action: action::RELEASED,
        ..raw_port::Port::default()
    }))
}

/// The listener of `bound_by_server()` gives the port back.
fn server_lets_go(at_s: u64) -> Event {
    let Candidate { socket, owner } = bound_by_server();
    released(at_s, owner, socket)
}

fn exit(at_s: u64, pid: u32, start_s: u64) -> Event {
    let mut exit = Exit::new_zeroed();
    exit.header.boot_ns = at_s * SECOND;
    exit.tgid = pid;
    exit.start_boot_ns = start_s * SECOND;
    Event::Exit(exit)
}

fn starts(assembler: &mut Assembler<Fake>, failures: bool) {
    let start = Start {
        version: String::new(),
        host: String::new(),
        boot_id: None,
        kernel: String::new(),
        arch: String::new(),
        netns: None,
        hooks: alloc::collections::BTreeMap::<String, Hook>::new(),
        degraded: Vec::new(),
        filters: Filters {
            failures,
            ..Filters::default()
        },
    };
    assembler.record(SECOND, Body::Start(Box::new(start)));
}

#[test]
fn failures_and_the_success_are_one_episode() {
    let mut assembler = assembler();
    assembler.surroundings().open = vec![open(10, 1, 500)];
    let failures = [refusal(30), refusal(31), refusal(35)];
    assert_eq!(numbers(&mut assembler, &failures), [Some(1); 3]);
    bodies(&mut assembler, &server_lets_go(40));
    let episode = ended_by(&mut assembler, &success(42));
    assert_eq!(
        (episode.id, episode.outcome, episode.attempts),
        (1, Outcome::Bound, 4)
    );
    assert_eq!((episode.processes, episode.blocked_ms), (1, 12_000));
    assert_eq!(
        (&*episode.first, &*episode.last),
        (
            "1970-01-01T00:00:30.000000000Z",
            "1970-01-01T00:00:42.000000000Z"
        )
    );
    let [spell] = &episode.by[..] else {
        panic!("{:?}", episode.by)
    };
    assert_eq!((spell.cause, spell.ms), (Some(Cause::LiveListener), 12_000));
    assert_eq!((spell.owner.as_ref().unwrap().pid, spell.attempts), (10, 3));
    let freed = episode.freed_by.unwrap();
    assert_eq!(freed.how, FreedHow::Closed);
    assert_eq!(freed.time, "1970-01-01T00:00:40.000000000Z");
    assert_eq!(freed.owner.unwrap().pid, 10);
    // The next one is another episode.
    assert_eq!(numbers(&mut assembler, &[refusal(50)]), [Some(2)]);
}

#[test]
fn what_was_freed_by_nobody_knows_whom_is_not_told() {
    let other = Socket {
        inode: 777,
        sk: 777,
        ..bound_by_server().socket
    };
    // Nothing was seen; another socket went; it went before the failure; it went after the success.
    for event in [
        None,
        Some(released(40, RawOwner::NONE, other)),
        Some(server_lets_go(29)),
        Some(server_lets_go(43)),
    ] {
        let mut assembler = assembler();
        bodies(&mut assembler, &refusal(30));
        if let Some(event) = &event {
            bodies(&mut assembler, event);
        }
        assert_eq!(ended_by(&mut assembler, &success(42)).freed_by, None);
    }
}

#[test]
fn all_that_was_in_the_way_must_have_gone() {
    let bound = Candidate {
        socket: socket(600, state::CLOSE, 8080),
        ..candidate(socket(600, state::CLOSE, 8080))
    };
    let event = refused(&retry(30, 98), &[bound_by_server(), bound]);
    let mut assembler = assembler();
    bodies(&mut assembler, &event);
    bodies(&mut assembler, &server_lets_go(40));
    assert_eq!(ended_by(&mut assembler, &success(42)).freed_by, None);

    bodies(&mut assembler, &event);
    bodies(&mut assembler, &server_lets_go(40));
    bodies(&mut assembler, &released(41, RawOwner::NONE, bound.socket));
    let freed = ended_by(&mut assembler, &success(42)).freed_by.unwrap();
    assert_eq!(freed.time, "1970-01-01T00:00:41.000000000Z");
}

/// The end of a process is reported before it closes its descriptors.
#[test]
fn the_end_of_its_process_frees_an_address() {
    let how = |events: &[Event], holders: &[Descriptor]| {
        let mut assembler = assembler();
        assembler.surroundings().open = holders.to_vec();
        bodies(&mut assembler, &refusal(30));
        for event in events {
            bodies(&mut assembler, event);
        }
        let freed = ended_by(&mut assembler, &success(42)).freed_by;
        freed.map(|freed| (freed.how, freed.time[17..19].to_owned()))
    };
    let alone = [open(10, 1, 500)];
    let exited = |at: &str| Some((FreedHow::Exited, at.to_owned()));
    let closed = |at: &str| Some((FreedHow::Closed, at.to_owned()));
    assert_eq!(how(&[exit(40, 10, 1)], &alone), exited("40"));
    assert_eq!(
        how(&[exit(40, 10, 1), server_lets_go(41)], &alone),
        exited("41")
    );
    assert_eq!(
        how(&[server_lets_go(40), exit(41, 10, 1)], &alone),
        closed("40")
    );
    // Nobody was found to have it open: perhaps because its owner was about to end.
    assert_eq!(
        how(&[exit(40, 10, 1), server_lets_go(41)], &[]),
        exited("41")
    );
    assert_eq!(how(&[exit(40, 10, 1)], &[]), None);
    // Somebody else has it, too.
    let shared = [open(10, 1, 500), open(12, 1, 500)];
    assert_eq!(how(&[exit(40, 10, 1)], &shared), None);
    assert_eq!(
        how(&[exit(40, 10, 1), server_lets_go(41)], &shared),
        closed("41")
    );
    // Another process of that pid, or before the failure.
    assert_eq!(how(&[exit(40, 10, 3)], &alone), None);
    assert_eq!(how(&[exit(29, 10, 1)], &alone), None);
}

#[test]
fn other_addresses_and_programs_have_episodes_of_their_own() {
    let mut assembler = assembler();
    let elsewhere = |change: fn(&mut raw::Attempt)| {
        let mut attempt = retry(30, 98);
        change(&mut attempt);
        refused(&attempt, &[])
    };
    let events = [
        refusal(30),
        elsewhere(|attempt| attempt.requested.port = 8081),
        elsewhere(|attempt| attempt.requested.addr[0] = 127),
        elsewhere(|attempt| attempt.socket.netns = 7),
        elsewhere(|attempt| attempt.socket.protocol = 17),
        elsewhere(|attempt| attempt.task = task(12, 2, "late")),
        // A fallback to TCP is one try more.
        elsewhere(|attempt| attempt.socket.protocol = 262),
        refusal(31),
    ];
    let expected = [1, 2, 3, 4, 5, 6, 1, 1].map(Some);
    assert_eq!(numbers(&mut assembler, &events), expected);
}

#[test]
fn what_time_does_not_cure_and_what_was_not_read_is_no_episode() {
    let mut assembler = assembler();
    let invalid = Event::Attempt(Box::new(retry(30, errno::EINVAL.cast_unsigned())));
    let mut unread = retry(30, 98);
    unread.requested = Endpoint::NONE;
    let mut kernel = retry(30, 98);
    kernel.flags |= raw::flag::KERNEL;
    let events = [invalid, refused(&unread, &[]), refused(&kernel, &[])];
    assert_eq!(numbers(&mut assembler, &events), [None; 3]);
    let not_local = Event::Attempt(Box::new(retry(30, errno::EADDRNOTAVAIL.cast_unsigned())));
    assert_eq!(numbers(&mut assembler, &[not_local]), [Some(1)]);
}

#[test]
fn who_has_ended_and_does_not_come_back_has_given_up() {
    let mut assembler = assembler();
    assembler.surroundings().alive.insert(11, 2 * SECOND);
    bodies(&mut assembler, &refusal(30));
    bodies(&mut assembler, &refusal(31));
    assert_eq!(episodes(assembler.tick(100 * SECOND)), []);
    bodies(&mut assembler, &exit(100, 11, 2));
    let told = episodes(assembler.tick(120 * SECOND));
    let [episode] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(
        (episode.outcome, episode.attempts, episode.blocked_ms),
        (Outcome::GaveUp, 2, 1000)
    );
    assert_eq!(episode.last, "1970-01-01T00:00:31.000000000Z");
    assert_eq!(at_the_end(&mut assembler, 200), []);
}

/// Its end was not told, but it is not there any more.
#[test]
fn who_is_not_there_has_ended() {
    let mut assembler = assembler();
    bodies(&mut assembler, &refusal(30));
    assert_eq!(episodes(assembler.tick(90 * SECOND)).len(), 1);
}

#[test]
fn who_lives_and_does_not_try_has_given_up_in_the_end() {
    let mut assembler = assembler();
    assembler.surroundings().alive.insert(11, 2 * SECOND);
    bodies(&mut assembler, &refusal(30));
    assert_eq!(episodes(assembler.tick(629 * SECOND)), []);
    let told = episodes(assembler.tick(1000 * SECOND));
    assert_eq!(told[0].outcome, Outcome::GaveUp);
}

#[test]
fn at_the_end_of_tracing_all_are_told() {
    let mut assembler = assembler();
    assembler.surroundings().alive.insert(11, 2 * SECOND);
    bodies(&mut assembler, &refusal(30));
    let mut other = retry(31, 98);
    other.task = task(12, 2, "gone");
    bodies(&mut assembler, &refused(&other, &[]));
    let told: Vec<_> = at_the_end(&mut assembler, 32)
        .into_iter()
        .map(|episode| (episode.id, episode.outcome))
        .collect();
    assert_eq!(told, [(1, Outcome::Open), (2, Outcome::GaveUp)]);
    assert_eq!(at_the_end(&mut assembler, 33), []);
}

#[test]
fn behind_a_loss_nobody_is_said_to_have_given_up() {
    let lost = |kind: &str| {
        let mut assembler = assembler();
        bodies(&mut assembler, &refusal(30));
        let lost = Lost {
            kind: kind.to_owned(),
            count: 1,
            from: String::new(),
            to: String::new(),
        };
        assembler.record(31 * SECOND, Body::Lost(lost));
        at_the_end(&mut assembler, 32)[0].outcome
    };
    assert_eq!(lost("attempt"), Outcome::Open);
    assert_eq!(lost("port"), Outcome::GaveUp);
    let mut assembler = assembler();
    bodies(&mut assembler, &refusal(30));
    assembler.doubt();
    assert_eq!(at_the_end(&mut assembler, 32)[0].outcome, Outcome::Open);
}

#[test]
fn with_failures_alone_a_success_is_told_if_it_ends_an_episode() {
    let mut assembler = assembler();
    starts(&mut assembler, true);
    assert!(bodies(&mut assembler, &success(29)).is_empty());
    bodies(&mut assembler, &refusal(30));
    assert_eq!(ended_by(&mut assembler, &success(31)).attempts, 2);
    assert!(bodies(&mut assembler, &success(32)).is_empty());
    assert_eq!(assembler.untold(), 2);
    // Of any port, the kernel side does not send it.
    let mut any_port = retry(40, 98);
    any_port.requested.port = 0;
    bodies(&mut assembler, &refused(&any_port, &[]));
    assert_eq!(at_the_end(&mut assembler, 50)[0].outcome, Outcome::Open);
}

fn during(attempt: &mut Attempt) -> (Cause, String) {
    let verdict = failure(attempt).verdict.clone().unwrap();
    (verdict.cause, verdict.summary)
}

/// The walk finds nothing, because the blocker has gone meanwhile.
#[test]
fn what_lets_go_during_the_call_is_named() {
    let mut late = retry(30, 98);
    late.enter_ns = 28 * SECOND;
    let cause = |events: &[Event], late: &raw::Attempt| {
        let mut assembler = assembler();
        for event in events {
            bodies(&mut assembler, event);
        }
        during(&mut attempt_of(&mut assembler, &refused(late, &[])))
    };
    let (named, summary) = cause(&[server_lets_go(29)], &late);
    assert_eq!(named, Cause::ReleasedJustNow);
    assert_eq!(
        summary,
        "server[10]'s socket 0.0.0.0:8080 was closed while the call was under way; when the table was walked \
         just after, no socket that conflicts had the port any more"
    );
    // Before the call; after it; at another address; of another protocol; the socket of the call itself.
    let at = |addr, at_s| {
        let mut socket = bound_by_server().socket;
        socket.local = endpoint(addr, 8080);
        released(at_s, RawOwner::NONE, socket)
    };
    let mut own = bound_by_server().socket;
    own.sk = late.socket.sk;
    let mut udp = bound_by_server().socket;
    udp.protocol = 17;
    let mut specific = late;
    specific.requested = endpoint(Ipv4Addr::LOCALHOST, 8080);
    let cases = [
        (server_lets_go(27), late),
        (server_lets_go(31), late),
        (released(29, RawOwner::NONE, own), late),
        (released(29, RawOwner::NONE, udp), late),
        (at(Ipv4Addr::new(127, 0, 0, 2), 29), specific),
    ];
    for (event, late) in cases {
        assert_eq!(cause(&[event], &late).0, Cause::Unknown);
    }
    let overlaps = cause(&[at(Ipv4Addr::LOCALHOST, 29)], &specific);
    assert_eq!(overlaps.0, Cause::ReleasedJustNow);
}

#[test]
fn a_time_wait_that_ends_during_the_call_is_named() {
    let mut late = retry(30, 98);
    late.enter_ns = 28 * SECOND;
    let Candidate { socket, owner } = time_wait(false);
    let leave = raw_time_wait::TimeWait {
        header: Header {
            boot_ns: 29 * SECOND,
            ..Header::default()
        },
        socket: Socket { sk: 5, ..socket },
        owner,
        action: raw_time_wait::action::LEAVE,
        reason: raw_time_wait::reason::EXPIRED,
        ..raw_time_wait::TimeWait::default()
    };
    let mut assembler = assembler();
    bodies(&mut assembler, &Event::TimeWait(Box::new(leave)));
    let mut attempt = attempt_of(&mut assembler, &refused(&late, &[]));
    assert_eq!(
        during(&mut attempt),
        (
            Cause::ReleasedJustNow,
            "the TIME_WAIT 0.0.0.0:8080 <-> 127.0.0.1:40000, left by server[10], was over while the call was \
             under way; when the table was walked just after, no socket that conflicts had the port any more"
                .to_owned()
        )
    );
    // Judged again from its record, it says the same.
    let before = attempt.clone();
    crate::verdict::judge(&mut attempt);
    assert_eq!(attempt, before);
}
