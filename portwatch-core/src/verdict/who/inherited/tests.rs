use crate::prelude::*;
use rstest::rstest;

use crate::{
    model::{
        attempt::{Attempt, Blocker},
        inheritance::{Inheritance, Step, Via},
        number::Big,
        process::{Holder, Owner, Process, Source, Stopping},
        proxy::{Proxy, Role},
        verdict::Cause,
    },
    verdict::testing::{bind, listener, process},
};

fn program(comm: &str, pid: u32, cmdline: &str) -> Process {
    let args: Vec<String> = cmdline.split(' ').map(str::to_owned).collect();
    Process {
        exe: args.first().cloned(),
        cmdline: Some(args),
        start_boot_ns: Some(Big(u64::from(pid) * 1_000_000_001)),
        ..process(comm, pid)
    }
}

fn steps(to: &Process, how: &[Via]) -> Vec<Step> {
    let step = |how: &Via| Step {
        how: *how,
        time: "2026-11-21T12:03:41Z".to_owned(),
        pid: to.pid,
        comm: to.comm.clone(),
        exe: to.exe.clone(),
    };
    how.iter().map(step).collect()
}

/// A bind that meets a socket of `from` which `to` has open, and `holders` beside.
fn meets(from: &Process, to: &Process, how: &[Via], holders: &[&Process]) -> Attempt {
    let holder = |process: &&Process| Holder {
        process: (*process).clone(),
        fd: 3,
    };
    let blocker = Blocker {
        holders: [to].iter().chain(holders).map(holder).collect(),
        inherited: Some(Box::new(Inheritance {
            from: from.clone(),
            from_alive: Some(!holders.is_empty()),
            to: to.clone(),
            steps: steps(to, how),
        })),
        owner: None,
        ..listener("0.0.0.0", 8080, &[])
    };
    bind("0.0.0.0", 8080, &[]).blocked_by([blocker])
}

const FORK: &[Via] = &[Via::Fork];
const BOTH: &[Via] = &[Via::Fork, Via::Exec];

#[test]
fn a_program_that_was_left_a_socket_is_named_with_who_left_it() {
    let from = program("python3", 77, "/usr/bin/python3 /srv/app.py");
    let to = program("sleep", 80, "/usr/bin/sleep 60");
    let attempt = meets(&from, &to, BOTH, &[]).judged();
    assert_eq!(
        attempt.causes(),
        (Cause::InheritedDescriptor, &[Cause::LiveListener][..])
    );
    let verdict = attempt.verdict();
    assert_eq!(
        verdict.summary,
        "sleep[80] listens on 0.0.0.0:8080; it has inherited the socket from python3[77], which bound it \
         and has ended"
    );
    assert_eq!(
        verdict.remedies,
        [
            "stop sleep[80], or make it close its socket on 0.0.0.0:8080",
            "from the next start on, set close-on-exec (SOCK_CLOEXEC) on the socket in python3[77], or close \
             it in the child before that executes another program, unless sleep[80] is meant to have it",
        ]
    );
    assert_eq!(
        verdict.would_succeed_if.last().unwrap(),
        "python3[77] had set close-on-exec (SOCK_CLOEXEC) on the socket before sleep[80] was executed"
    );
}

/// What is said, by how the heir came to the socket and whether its creator has it too.
#[rstest]
#[case::worker_of_a_master(FORK, "/usr/sbin/nginx", true, Cause::LiveListener, false)]
#[case::worker_without_its_master(
    FORK,
    "/usr/sbin/nginx",
    false,
    Cause::InheritedDescriptor,
    false
)]
#[case::upgrade(BOTH, "/usr/sbin/nginx -s", false, Cause::LiveListener, false)]
#[case::upgrade_under_way(BOTH, "/usr/sbin/nginx -s", true, Cause::LiveListener, false)]
#[case::leak_of_a_live_server(BOTH, "/bin/sleep 9", true, Cause::LiveListener, true)]
#[case::leak(BOTH, "/bin/sleep 9", false, Cause::InheritedDescriptor, true)]
fn an_heir_is_not_always_a_leak(
    #[case] how: &[Via],
    #[case] cmdline: &str,
    #[case] creator_has_it: bool,
    #[case] cause: Cause,
    #[case] close_on_exec: bool,
) {
    let from = program("nginx", 77, "/usr/sbin/nginx");
    let to = program("heir", 80, cmdline);
    let holders: &[&Process] = if creator_has_it { &[&from] } else { &[] };
    let attempt = meets(&from, &to, how, holders).judged();
    let verdict = attempt.verdict();
    assert_eq!(verdict.cause, cause);
    let told =
        cause == Cause::InheritedDescriptor || verdict.also.contains(&Cause::InheritedDescriptor);
    assert_eq!(told, close_on_exec || cause == Cause::InheritedDescriptor);
    let advises = verdict
        .remedies
        .iter()
        .any(|remedy| remedy.contains("SOCK_CLOEXEC"));
    assert_eq!(advises, close_on_exec);
}

#[test]
fn two_scripts_of_one_interpreter_are_two_programs() {
    let from = program("python3", 77, "/usr/bin/python3 /srv/app.py");
    let worker = program("python3", 80, "/usr/bin/python3 /srv/worker.py");
    let again = program("python3", 80, "/usr/bin/python3 /srv/app.py");
    let cause = |to| meets(&from, to, BOTH, &[]).judged().verdict().cause;
    assert_eq!(cause(&worker), Cause::InheritedDescriptor);
    assert_eq!(cause(&again), Cause::LiveListener);
}

#[test]
fn who_meets_the_socket_of_its_own_former_image() {
    let from = program("node", 4182, "/usr/bin/node /srv/a.js");
    let to = program("node", 4182, "/usr/bin/node /srv/a.js");
    let mut attempt = meets(&from, &to, &[Via::Exec], &[]);
    attempt.process = to;
    assert_eq!(
        attempt.judged().causes(),
        (Cause::SelfConflict, &[Cause::InheritedDescriptor][..])
    );
}

#[test]
fn an_older_instance_that_was_asked_to_end_is_not_said_to_end() {
    let old = program("app", 77, "/usr/bin/app");
    let mut attempt = bind("0.0.0.0", 8080, &[]).blocked_by([Blocker {
        owner: Some(Owner {
            process: old.clone(),
            alive: Some(true),
            source: Source::Observed,
            stopping: Some(Stopping {
                signal: "SIGTERM".to_owned(),
                time: "2026-11-21T12:03:38Z".to_owned(),
                ago_ms: 3290,
                by: Some(Box::new(process("systemd", 1))),
            }),
        }),
        holders: vec![Holder {
            process: old,
            fd: 3,
        }],
        ..listener("0.0.0.0", 8080, &[])
    }]);
    attempt.process = program("app", 90, "/usr/bin/app");
    let attempt = attempt.judged();
    assert_eq!(
        attempt.verdict().summary,
        "app[77] listens on 0.0.0.0:8080; it is an older instance of the same service (both run /usr/bin/app), \
         and was sent SIGTERM 3.2 s ago by systemd[1]"
    );
}

/// Neither a service manager nor who starts a proxy leaves its socket by mistake.
#[test]
fn what_is_handed_on_is_no_leak() {
    let service = program("app", 80, "/usr/bin/app");
    let systemd = program("systemd", 1, "/usr/lib/systemd/systemd");
    let attempt = meets(&systemd, &service, BOTH, &[]).judged();
    assert_eq!(attempt.causes(), (Cause::LiveListener, &[][..]));
    let proxy = program("docker-proxy", 80, "/usr/bin/docker-proxy");
    let mut attempt = meets(
        &program("dockerd", 77, "/usr/bin/dockerd"),
        &proxy,
        BOTH,
        &[],
    );
    let blocker = &mut attempt.failure.as_mut().unwrap().blockers[0];
    blocker.on_behalf_of = Some(Box::new(Proxy {
        role: Role::PortProxy,
        target: None,
        container: None,
        unit: None,
    }));
    let attempt = attempt.judged();
    assert_ne!(attempt.verdict().cause, Cause::InheritedDescriptor);
    assert!(!attempt.verdict().also.contains(&Cause::InheritedDescriptor));
}
