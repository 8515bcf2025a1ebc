//! Who inherited a socket, from whom, and who was asked to end.

use portwatch_common::event::process::{Fork, Process as RawProcess, Signal, flag as process_flag};

use super::*;
use crate::model::{
    inheritance::{Inheritance, Via},
    process::Process as Named,
    record::Lost,
};

/// A process starts as another one forks, half a tick after the second.
fn fork(parent: (u32, u64), child: (u32, u64), name: &str) -> Event {
    let mut fork = Fork::new_zeroed();
    fork.parent_tgid = parent.0;
    fork.parent_start_boot_ns = parent.1 * SECOND;
    fork.tgid = child.0;
    fork.start_boot_ns = child.1 * SECOND;
    fork.comm = comm(name);
    Event::Fork(fork)
}

fn exec(pid: (u32, u64), at_s: u64, exe: &str) -> Event {
    let name = exe.rsplit('/').next().unwrap();
    let mut process = RawProcess::new_box_zeroed().unwrap();
    process.header.boot_ns = at_s * SECOND;
    process.task = task(pid.0, pid.1, name);
    process.flags = process_flag::AT_EXEC;
    let names: Vec<&str> = exe
        .split('/')
        .rev()
        .filter(|name| !name.is_empty())
        .collect();
    let bytes = names.join("\0") + "\0";
    process.exe[..bytes.len()].copy_from_slice(bytes.as_bytes());
    process.exe_len = u32::try_from(bytes.len()).unwrap();
    Event::Process(process)
}

fn signal(to: (u32, u64), by: (u32, u64), at_s: u64) -> Event {
    let mut signal = Signal::new_zeroed();
    signal.header.boot_ns = at_s * SECOND;
    signal.tgid = to.0;
    signal.start_boot_ns = to.1 * SECOND;
    signal.sender_tgid = by.0;
    signal.sender_start_boot_ns = by.1 * SECOND;
    signal.sender_comm = comm("systemd");
    signal.signal = 15;
    Event::Signal(signal)
}

fn exit(pid: (u32, u64)) -> Event {
    Event::Exit(Exit {
        tgid: pid.0,
        start_boot_ns: pid.1 * SECOND,
        ..Exit::new_zeroed()
    })
}

/// The server of [`bound_by_server`].
const SERVER: (u32, u64) = (10, 1);

/// The record of a bind that fails at 30 s because of the server's socket, which `holders` have open.
fn told(assembler: &mut Assembler<Fake>, holders: &[(u32, u64)]) -> Attempt {
    assembler.surroundings().open = holders
        .iter()
        .map(|(pid, start)| open(*pid, *start, 500))
        .collect();
    let event = refused(
        &bind(task(11, 2, "late"), 501, 98, 30),
        &[bound_by_server()],
    );
    attempt_of(assembler, &event)
}

fn inherited(assembler: &mut Assembler<Fake>, holders: &[(u32, u64)]) -> Option<Inheritance> {
    primary(&told(assembler, holders))
        .inherited
        .as_deref()
        .cloned()
}

fn steps(inherited: &Inheritance) -> Vec<(Via, u32, &str)> {
    let step = |step: &'_ crate::model::inheritance::Step| (step.how, step.pid);
    inherited
        .steps
        .iter()
        .map(|found| (step(found).0, step(found).1, found.comm.as_str()))
        .collect()
}

#[test]
fn a_child_that_executed_another_program_is_told_with_every_step() {
    let mut assembler = assembler();
    assembler.surroundings().stay_open = vec![(30, 7)];
    assembler.event(&exec(SERVER, 2, "/usr/bin/server"));
    assembler.event(&fork(SERVER, (29, 21), "server"));
    assembler.event(&fork((29, 21), (30, 22), "server"));
    assembler.event(&exec((30, 22), 23, "/usr/bin/sleep"));
    assembler.event(&exit((29, 21)));
    assembler.event(&exit(SERVER));
    let attempt = told(&mut assembler, &[(30, 22)]);
    let found = primary(&attempt).inherited.as_ref().unwrap();
    assert_eq!(
        steps(found),
        [
            (Via::Fork, 29, "server"),
            (Via::Fork, 30, "server"),
            (Via::Exec, 30, "sleep")
        ]
    );
    assert_eq!(found.steps[0].exe.as_deref(), Some("/usr/bin/server"));
    assert_eq!(found.steps[2].exe.as_deref(), Some("/usr/bin/sleep"));
    assert_eq!(found.steps[2].time, "1970-01-01T00:00:23.000000000Z");
    let Named { pid, exe, .. } = &found.from;
    assert_eq!((*pid, exe.as_deref()), (10, Some("/usr/bin/server")));
    assert_eq!((found.from_alive, found.to.pid), (Some(false), 30));
    let verdict = failure(&attempt).verdict.as_ref().unwrap();
    assert_eq!(verdict.cause, Cause::InheritedDescriptor);
}

#[test]
fn what_is_closed_on_exec_was_not_inherited_through_one() {
    let mut assembler = assembler();
    assembler.event(&fork(SERVER, (30, 22), "server"));
    assembler.event(&exec((30, 22), 23, "/usr/bin/worker"));
    assert_eq!(inherited(&mut assembler, &[(30, 22)]), None);
}

#[test]
fn a_fork_that_was_not_seen_is_a_gap() {
    let mut assembler = assembler();
    // Its parent has the server's pid, and is another process.
    assembler.event(&fork((10, 12), (30, 22), "server"));
    assert_eq!(inherited(&mut assembler, &[(30, 22)]), None);
    assert_eq!(inherited(&mut assembler, &[(31, 22)]), None);
}

#[test]
fn who_was_made_before_the_bind_may_have_been_handed_the_socket() {
    let mut assembler = assembler();
    assembler.event(&fork(SERVER, (30, 19), "server"));
    assert_eq!(inherited(&mut assembler, &[(30, 19)]), None);
}

#[test]
fn who_does_not_descend_from_the_owner_has_not_inherited() {
    let mut assembler = assembler();
    assembler.event(&fork((5, 1), SERVER, "sh"));
    assembler.event(&fork((5, 1), (30, 22), "sh"));
    assert_eq!(inherited(&mut assembler, &[(30, 22)]), None);
}

#[test]
fn a_child_without_exec_has_its_parents_image() {
    let mut assembler = assembler();
    assembler.event(&exec(SERVER, 2, "/usr/bin/server"));
    assembler.event(&fork(SERVER, (30, 22), "server"));
    let found = inherited(&mut assembler, &[(30, 22)]).unwrap();
    assert_eq!(steps(&found), [(Via::Fork, 30, "server")]);
    assert_eq!(found.to.exe.as_deref(), Some("/usr/bin/server"));
    // What the parent executes later is not the child's.
    let mut later = self::assembler();
    later.event(&exec(SERVER, 2, "/usr/bin/server"));
    later.event(&fork(SERVER, (30, 22), "server"));
    later.event(&exec(SERVER, 23, "/usr/bin/other"));
    let found = inherited(&mut later, &[(30, 22)]).unwrap();
    assert_eq!(found.to.exe, None);
    assert_eq!(found.from.exe.as_deref(), Some("/usr/bin/server"));
}

#[test]
fn workers_of_a_master_that_has_the_socket_are_nothing_to_tell() {
    let mut assembler = assembler();
    assembler.event(&fork(SERVER, (30, 22), "server"));
    assert_eq!(inherited(&mut assembler, &[SERVER, (30, 22)]), None);
    assembler.event(&fork(SERVER, (31, 23), "server"));
    assembler.event(&exec((31, 23), 24, "/usr/bin/sleep"));
    assembler.surroundings().stay_open = vec![(31, 7)];
    let attempt = told(&mut assembler, &[SERVER, (30, 22), (31, 23)]);
    assert_eq!(primary(&attempt).inherited.as_ref().unwrap().to.pid, 31);
    let verdict = failure(&attempt).verdict.as_ref().unwrap();
    assert_eq!(verdict.cause, Cause::LiveListener);
    assert_eq!(verdict.also, [Cause::InheritedDescriptor]);
}

#[test]
fn what_was_executed_before_the_bind_is_no_step() {
    let mut assembler = assembler();
    assembler.event(&exec(SERVER, 19, "/usr/bin/server"));
    assert_eq!(inherited(&mut assembler, &[SERVER]), None);
    assembler.event(&exec(SERVER, 21, "/usr/bin/other"));
    let found = inherited(&mut assembler, &[SERVER]).unwrap();
    assert_eq!(steps(&found), [(Via::Exec, 10, "other")]);
    assert_eq!(found.from.exe.as_deref(), Some("/usr/bin/server"));
}

#[test]
fn dropped_executions_are_a_gap() {
    let mut assembler = assembler();
    for at in 20..26 {
        assembler.event(&exec(SERVER, at, "/usr/bin/again"));
    }
    assert_eq!(inherited(&mut assembler, &[SERVER]), None);
}

#[test]
fn the_owner_was_asked_to_end() {
    let mut assembler = assembler();
    assembler.event(&signal(SERVER, (1, 0), 25));
    let stopping = primary(&told(&mut assembler, &[SERVER]))
        .owner
        .as_ref()
        .unwrap()
        .stopping
        .clone()
        .unwrap();
    assert_eq!(
        (stopping.signal.as_str(), stopping.ago_ms),
        ("SIGTERM", 5000)
    );
    assert_eq!(stopping.time, "1970-01-01T00:00:25.000000000Z");
    let by = stopping.by.unwrap();
    assert_eq!((by.pid, by.comm.as_str()), (1, "systemd"));
    // Of one that has ended nothing more is to be said.
    assembler.event(&exit(SERVER));
    let attempt = told(&mut assembler, &[]);
    assert_eq!(primary(&attempt).owner.as_ref().unwrap().stopping, None);
}

#[test]
fn ancestors_are_told_as_far_as_they_were_seen() {
    let mut assembler = assembler();
    assembler.event(&fork((5, 1), (6, 2), "runner"));
    assembler.event(&exec((6, 2), 3, "/usr/bin/npm"));
    assembler.event(&fork((6, 2), (11, 2), "npm"));
    let attempt = told(&mut assembler, &[SERVER]);
    let names: Vec<_> = attempt
        .process
        .ancestors
        .iter()
        .map(|ancestor| (ancestor.pid, ancestor.comm.as_str()))
        .collect();
    assert_eq!(names, [(6, "npm"), (5, "runner")]);
}

/// A million processes that fork, execute and end, among them some that never end.
#[test]
fn a_million_processes_need_no_more_room_than_a_few() {
    const PROCESSES: u32 = 505_000;
    let mut assembler = assembler();
    for n in 0..PROCESSES {
        let pid = 1000 + n % 30_000;
        let start = 10 + u64::from(n);
        let parent = (2, 1);
        assembler.event(&fork(parent, (pid, start), "sh"));
        if n % 8 == 0 {
            assembler.event(&exec((pid, start), start, "/usr/bin/cc"));
        }
        if n % 7 != 0 {
            assembler.event(&exit((pid, start)));
        }
    }
    let lasting = u64::from(PROCESSES.div_ceil(7));
    let lineages = &assembler.memory.lineages;
    assert!(lineages.len() <= crate::memory::lineages::CAPACITY);
    // Those that have ended left by themselves. Their parent is remembered, too.
    assert_eq!(lineages.evicted() + lineages.len() as u64, lasting + 1);
    assert_eq!(assembler.evicted()["lineages"], lineages.evicted());
    let executed = u64::from(PROCESSES.div_ceil(8));
    let kept = crate::memory::processes::CAPACITY as u64;
    assert_eq!(assembler.evicted()["processes"], executed - kept);
}

#[test]
fn lost_records_of_processes_are_a_gap() {
    let lost = Body::Lost(Lost {
        kind: "process".to_owned(),
        count: 1,
        from: String::new(),
        to: String::new(),
    });
    let mut assembler = assembler();
    assembler.event(&fork(SERVER, (30, 22), "server"));
    assembler.record(19 * SECOND, lost.clone());
    assert!(inherited(&mut assembler, &[(30, 22)]).is_some());
    assembler.record(23 * SECOND, lost);
    assert_eq!(inherited(&mut assembler, &[(30, 22)]), None);
}
