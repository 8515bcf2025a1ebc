use crate::prelude::*;
use insta::assert_snapshot;
use rstest::rstest;

use super::*;
use crate::{
    model::{
        attempt::{Facts, StageResults},
        process::{Container, Process},
        socket::State,
    },
    verdict::testing::{EADDRINUSE, bind, blocker, process},
};

const EPERM: u32 = 1;

/// A service that was refused before its address was looked at.
fn refused(facts: &Facts) -> Attempt {
    let attempt = bind("10.0.0.5", 8080, &[]);
    Attempt {
        errno: EPERM,
        result: "EPERM".to_owned(),
        process: Process {
            cgroup: Some("/system.slice/app.service".to_owned()),
            unit: Some("app.service".to_owned()),
            ..process("node", 4182)
        },
        facts: Facts {
            addrlen: Some(16),
            began_while_tracing: true,
            ..facts.clone()
        },
        ..attempt
    }
}

fn with(results: StageResults) -> Attempt {
    refused(&Facts {
        stages: Some(results),
        ..Facts::default()
    })
}

fn by_module() -> Attempt {
    with(StageResults {
        security: Some(-1),
        ..StageResults::default()
    })
}

fn by_group() -> Attempt {
    with(StageResults {
        security: Some(0),
        family: Some(-1),
        ..StageResults::default()
    })
}

fn by_filter() -> Attempt {
    refused(&Facts {
        entry_unseen: true,
        ..Facts::default()
    })
}

/// The verdict, a line for each part of it.
fn told(attempt: Attempt) -> String {
    let attempt = attempt.judged();
    let verdict = attempt.verdict();
    assert_eq!(verdict.cause, Cause::Policy);
    assert_eq!(verdict.would_succeed_if[..], [] as [&str; 0]);
    let mut lines = vec![
        format!("{:?}", verdict.confidence),
        verdict.summary.clone(),
        verdict.because.clone(),
    ];
    lines.extend(verdict.remedies.clone());
    lines.join("\n")
}

#[test]
fn a_security_module_is_named() {
    assert_snapshot!(told(by_module()), @"
    Exact
    a security module (LSM) refused node[4182] (app.service) bind() to 10.0.0.5:8080
    the security modules are asked before the address is looked at, and one of them answered EPERM
    allow it in the policy of the security module for node[4182] (app.service): its audit log says what was refused (ausearch -m AVC, or journalctl -k)
    ");
}

#[test]
fn a_program_of_the_control_group_is_named_with_the_unit() {
    assert_snapshot!(told(by_group()), @"
    Exact
    a BPF program of its control group refused node[4182] (app.service) bind() to 10.0.0.5:8080
    programs of the control group are asked before the address is looked at, and the answer was EPERM (systemd's SocketBindAllow= and SocketBindDeny= work this way)
    allow it in app.service: look for SocketBindAllow= and SocketBindDeny= in its unit file, or for another program on the control group /system.slice/app.service or above it (bpftool cgroup tree)
    ");
}

#[test]
fn a_program_after_the_bind_is_told_from_one_before() {
    let attempt = with(StageResults {
        security: Some(0),
        family: Some(-1),
        address: Some(-1),
        port: Some(0),
    });
    assert_snapshot!(told(attempt), @"
    Exact
    a BPF program of its control group refused node[4182] (app.service) bind() to 10.0.0.5:8080
    the port was free: programs of the control group are asked again after the bind (post_bind), and the answer was EPERM
    allow it in app.service: look for SocketBindAllow= and SocketBindDeny= in its unit file, or for another program on the control group /system.slice/app.service or above it (bpftool cgroup tree)
    ");
}

#[test]
fn a_seccomp_filter_is_named() {
    assert_snapshot!(told(by_filter()), @"
    Inferred
    a seccomp filter refused node[4182] (app.service) bind() to 10.0.0.5:8080 before the call began
    the call returned EPERM without having begun: a seccomp filter answered in the kernel's place
    allow the system call bind in the filter that the program, or whatever started it, has set (for app.service, look for SystemCallFilter= in its unit file)
    ");
}

#[test]
fn what_can_only_be_policy_is_said_to_be_so() {
    assert_snapshot!(told(refused(&Facts::default())), @"
    Inferred
    a security module (LSM) or a BPF program of its control group refused node[4182] (app.service) bind() to 10.0.0.5:8080; which of the two was not seen
    the checks of the address and of the port never answer EPERM
    allow it in app.service: look for SocketBindAllow= and SocketBindDeny= in its unit file, or for another program on the control group /system.slice/app.service or above it (bpftool cgroup tree)
    allow it in the policy of the security module for node[4182] (app.service): its audit log says what was refused (ausearch -m AVC, or journalctl -k)
    ");
}

#[test]
fn without_a_unit_nothing_is_said_of_one() {
    for mut attempt in [by_module(), by_group(), by_filter()] {
        attempt.process.unit = None;
        attempt.process.cgroup = None;
        let told = told(attempt);
        assert!(
            !told.contains("unit file") && !told.contains("app.service"),
            "{told}"
        );
    }
}

#[test]
fn of_a_container_its_runtime_is_named_and_not_its_scope() {
    for mut attempt in [by_group(), by_filter()] {
        attempt.process.container = Some(Container {
            id: "4f2a6d1b9c3e8f70".to_owned(),
            runtime: Some("docker".to_owned()),
            pod: None,
        });
        let told = told(attempt);
        assert!(!told.contains("unit file"), "{told}");
    }
}

#[test]
fn the_kernel_is_not_called_a_process() {
    let mut attempt = by_group();
    attempt.facts.kernel = true;
    attempt.process = process("kworker/0:1", 77);
    assert!(told(attempt).contains(" refused the kernel, in kworker/0:1[77] bind() to "));
}

#[rstest]
#[case::lsm(by_module())]
#[case::cgroup(by_group())]
#[case::seccomp(by_filter())]
fn no_socket_is_blamed_whatever_the_errno(#[case] attempt: Attempt) {
    let attempt = Attempt {
        errno: EADDRINUSE,
        ..attempt
    };
    let attempt = attempt
        .blocked_by([blocker(State::Listen, "0.0.0.0", 8080, &[])])
        .judged();
    assert_eq!(attempt.verdict().cause, Cause::Policy);
    let [blocker] = attempt.blockers() else {
        panic!("{:?}", attempt.blockers())
    };
    assert_eq!((blocker.primary, blocker.conflicts), (false, None));
}

#[rstest]
#[case::unproven_filter(Facts { entry_unseen: true, began_while_tracing: false, ..Facts::default() })]
#[case::uring(Facts { io_uring: true, ..Facts::default() })]
#[case::kernel(Facts { kernel: true, ..Facts::default() })]
fn where_something_else_may_have_refused_nothing_is_said(#[case] facts: Facts) {
    let attempt = Attempt {
        facts,
        ..refused(&Facts::default())
    };
    let attempt = attempt.judged();
    assert_eq!(
        (attempt.stage, attempt.failure.unwrap().verdict),
        (None, None)
    );
}

#[test]
fn a_service_that_lacks_nothing_but_leave_is_not_called_unprivileged() {
    let mut attempt = by_module();
    attempt.port = Some(80);
    attempt.errno = 13;
    attempt.facts.unprivileged_port_start = Some(1024);
    assert_eq!(attempt.judged().verdict().cause, Cause::Policy);
}
