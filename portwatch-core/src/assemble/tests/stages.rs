//! How far a call got, and the socket that the kernel itself refused it for.

use portwatch_common::event::attempt::{Stages, flag as attempt_flag, stage};

use super::*;
use crate::model::{
    attempt::{Op, Stage, StageResults},
    record::{Lost, Start},
    verdict::Certainty,
};

fn exact(candidate: Candidate) -> Candidate {
    let mut exact = candidate;
    exact.socket.flags |= flag::EXACT;
    exact
}

fn told(assembler: &mut Assembler<Fake>, raw: &raw::Attempt) -> Attempt {
    attempt_of(assembler, &Event::Attempt(Box::new(*raw)))
}

#[test]
fn what_the_functions_returned_is_kept() {
    let mut refused = bind(task(11, 2, "late"), 501, 1, 30);
    refused.addrlen = 16;
    let attempt = told(&mut assembler(), &refused);
    assert_eq!((attempt.facts.stages, attempt.stage), (None, None));
    assert_eq!(attempt.facts.addrlen, Some(16));

    refused.stages = Stages {
        reached: stage::SECURITY | stage::FAMILY,
        family: -1,
        // Not reached: means nothing.
        port: 7,
        ..Stages::NONE
    };
    let attempt = told(&mut assembler(), &refused);
    let results = StageResults {
        security: Some(0),
        family: Some(-1),
        ..StageResults::default()
    };
    assert_eq!(attempt.facts.stages, Some(results));
    assert_eq!(attempt.stage, Some(Stage::Cgroup));
}

#[test]
fn who_made_no_system_call_is_told() {
    let mut raw = bind(task(11, 2, "kworker/0:1"), 501, 0, 30);
    let facts = told(&mut assembler(), &raw).facts;
    assert_eq!((facts.kernel, facts.compat), (false, false));
    raw.flags = attempt_flag::KERNEL;
    assert!(told(&mut assembler(), &raw).facts.kernel);
    raw.flags = attempt_flag::COMPAT;
    assert!(told(&mut assembler(), &raw).facts.compat);
}

/// The beginning of a log.
fn start() -> Body {
    Body::Start(Box::new(Start {
        version: String::new(),
        host: String::new(),
        boot_id: None,
        kernel: String::new(),
        arch: String::new(),
        netns: None,
        hooks: alloc::collections::BTreeMap::new(),
        degraded: Vec::new(),
        filters: crate::model::record::Filters::default(),
    }))
}

#[test]
fn only_a_process_that_is_younger_than_the_tracing_is_known_to_have_been_filtered() {
    let unseen = |start_s| {
        let mut raw = bind(task(11, start_s, "late"), 501, 1, 30);
        raw.flags = attempt_flag::NO_ENTRY;
        raw.enter_ns = 0;
        raw
    };
    let mut assembler = assembler();
    assert_eq!(told(&mut assembler, &unseen(25)).stage, None);
    assembler.record(20 * SECOND, start());
    assert_eq!(told(&mut assembler, &unseen(2)).stage, None);
    let young = told(&mut assembler, &unseen(25));
    assert!(young.facts.began_while_tracing);
    assert_eq!(young.stage, Some(Stage::Seccomp));
    // Where entries are lost, one that was not seen proves nothing.
    let lost = Lost {
        kind: "entry".to_owned(),
        count: 1,
        from: String::new(),
        to: String::new(),
    };
    assembler.record(21 * SECOND, Body::Lost(lost));
    assert_eq!(told(&mut assembler, &unseen(25)).stage, None);
}

#[test]
fn what_the_kernel_named_is_told_once_and_exactly() {
    let named = exact(bound_by_server());
    let attempt = attempt_of(
        &mut assembler(),
        &refused(
            &bind(task(11, 2, "late"), 501, 98, 30),
            &[named, bound_by_server()],
        ),
    );
    assert_eq!(failure(&attempt).blockers.len(), 1);
    let blocker = primary(&attempt);
    assert!(blocker.kernel_refused);
    assert_eq!(blocker.certainty, Certainty::Exact);
    assert_eq!(attempt.stage, Some(Stage::Port));
    assert_eq!(
        failure(&attempt).verdict.as_ref().unwrap().confidence,
        Certainty::Exact
    );
}

#[test]
fn a_time_wait_that_was_met_again_is_one() {
    let kept = time_wait(false);
    let other = {
        let mut other = kept;
        other.socket.remote.port += 1;
        other
    };
    let named = Candidate {
        owner: RawOwner::NONE,
        ..exact(kept)
    };
    let attempt = attempt_of(
        &mut assembler(),
        &refused(
            &bind(task(11, 2, "late"), 501, 98, 30),
            &[named, other, kept],
        ),
    );
    assert_eq!(failure(&attempt).blockers.len(), 2);
    // The walk found out whose it was.
    let owner = primary(&attempt).owner.as_ref().unwrap();
    assert_eq!(owner.process.comm, "server");
    assert!(primary(&attempt).kernel_refused);
}

#[test]
fn a_listener_that_was_replaced_at_once_is_another_one() {
    let mut next = bound_by_server();
    // The memory is the same.
    next.socket.sk = 500;
    next.socket.inode = 700;
    let attempt = attempt_of(
        &mut assembler(),
        &refused(
            &bind(task(11, 2, "late"), 501, 98, 30),
            &[exact(bound_by_server()), next],
        ),
    );
    assert_eq!(failure(&attempt).blockers.len(), 2);
    assert_eq!(primary(&attempt).inode, Some(500));
}

#[test]
fn what_the_kernel_named_never_came_later() {
    let mut late = bind(task(11, 2, "late"), 501, 98, 30);
    late.returned_ns = 10 * SECOND;
    let attempt = attempt_of(
        &mut assembler(),
        &refused(&late, &[exact(bound_by_server())]),
    );
    assert!(!primary(&attempt).came_later);
}

#[test]
fn listen_is_refused_for_its_port() {
    let mut raw = bind(task(11, 2, "late"), 501, 98, 30);
    raw.op = raw::op::LISTEN;
    raw.stages = Stages {
        reached: stage::PORT,
        port: 1,
        ..Stages::NONE
    };
    let attempt = attempt_of(
        &mut assembler(),
        &refused(&raw, &[exact(bound_by_server())]),
    );
    assert_eq!((attempt.op, attempt.stage), (Op::Listen, Some(Stage::Port)));
    assert_eq!(attempt.facts.addrlen, None);
}
