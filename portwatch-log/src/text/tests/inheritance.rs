//! How a socket came to who has it.

use insta::assert_snapshot;

use super::*;
use portwatch_core::model::{
    attempt::Blocker,
    inheritance::{Inheritance, Step, Via},
    process::{Holder, Owner, Source, Stopping},
};
use portwatch_core::samples::{listener, process};

fn step(how: Via, pid: u32, comm: &str) -> Step {
    Step {
        how,
        time: "2026-11-21T12:03:40Z".to_owned(),
        pid,
        comm: comm.to_owned(),
        exe: None,
    }
}

#[test]
fn every_step_of_an_inheritance_is_in_one_line() {
    let heir = Process {
        ns_pid: Some(1),
        ..process("sleep\x1b[1m", 981)
    };
    let blocker = Blocker {
        owner: Some(Owner {
            process: heir.clone(),
            alive: Some(true),
            source: Source::Iterator,
            stopping: Some(Stopping {
                signal: "SIGTERM".to_owned(),
                time: "2026-11-21T12:03:38Z".to_owned(),
                ago_ms: 3290,
                by: Some(Box::new(process("systemd", 1))),
            }),
        }),
        holders: vec![Holder {
            process: heir.clone(),
            fd: 3,
        }],
        inherited: Some(Box::new(Inheritance {
            from: process("server", 977),
            from_alive: Some(false),
            to: heir,
            steps: vec![
                step(Via::Fork, 980, "server"),
                step(Via::Exec, 980, "sh"),
                step(Via::Fork, 981, "sh"),
                step(Via::Exec, 981, "sleep\x1b[1m"),
            ],
        })),
        ..listener()
    };
    assert_snapshot!(shown(conflict(vec![blocker], None)), @r#"
    13:03:41.118  bind   tcp   0.0.0.0:8080          node[4182] node.service           EADDRINUSE
      held by  "sleep\x1b[1m"[981] "sleep\x1b[1m.service" (1 in its pid namespace)  LISTEN 0.0.0.0:8080  process up 3 d 4 h  exact
      came by  server[977] (exited) > fork server[980] > exec sh[980] > fork sh[981] > exec "sleep\x1b[1m"[981]
      was sent SIGTERM 3.2 s ago, by systemd[1]
    "#);
}
