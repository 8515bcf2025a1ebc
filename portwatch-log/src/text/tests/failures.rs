use insta::assert_snapshot;

use super::*;
use portwatch_core::model::{
    attempt::BlockerCounts,
    process::Holder,
    socket::State,
    verdict::{Cause, Certainty, Verdict},
};
use portwatch_core::samples::{address, attempt, listener, other, refused, time_wait, verdict};

#[test]
fn a_listener_in_the_way() {
    assert_snapshot!(shown(conflict(vec![listener()], Some(verdict()))), @"
    13:03:41.118  bind   tcp   0.0.0.0:8080          node[4182] node.service           EADDRINUSE
      held by  java[977] tomcat.service  LISTEN 0.0.0.0:8080  before portwatch (process up 3 d 4 h)  exact
      command  java -jar /srv/app.jar
      cause    live-listener: java[977] listens on 0.0.0.0:8080
      because  the port has a listener, and SO_REUSEPORT is not set on both sockets
      works if java[977] had closed 0.0.0.0:8080
            or both set SO_REUSEPORT as the same user
      also     time-wait
      try      stop tomcat.service
            or use another port
    ");
}

#[test]
fn a_time_wait_was_left_by_somebody() {
    let verdict = Verdict {
        cause: Cause::TimeWait,
        also: Vec::new(),
        confidence: Certainty::Walked,
        summary: "a connection of python3[3977] is in TIME_WAIT".to_owned(),
        because: "the old socket did not have SO_REUSEADDR".to_owned(),
        remedies: Vec::new(),
        would_succeed_if: vec!["at least 41 s had passed".to_owned()],
    };
    assert_snapshot!(shown(conflict(vec![time_wait()], Some(verdict))), @"
    13:03:41.118  bind   tcp   0.0.0.0:8080          node[4182] node.service           EADDRINUSE
      left by  python3[3977] python3.service (exited)  TIME_WAIT 10.0.0.1:8080 <-> 10.0.0.9:51234  since 13:03:22 (19 s), at least 41 s left  walked
      cause    time-wait: a connection of python3[3977] is in TIME_WAIT
      because  the old socket did not have SO_REUSEADDR
      works if at least 41 s had passed
    ");
}

#[test]
fn errors_without_a_blocker() {
    assert_snapshot!(shown(refused("ENOTSOCK", 88, None)), @"13:03:41.118  bind   tcp   0.0.0.0:8080          node[4182] node.service           ENOTSOCK");
    let verdict = Verdict {
        cause: Cause::PrivilegedPort,
        also: Vec::new(),
        confidence: Certainty::Walked,
        summary: "port 80 is privileged".to_owned(),
        because: "port 80 is privileged".to_owned(),
        remedies: vec!["give it CAP_NET_BIND_SERVICE".to_owned()],
        would_succeed_if: Vec::new(),
    };
    assert_snapshot!(shown(refused("EACCES", 13, Some(verdict))), @"
    13:03:41.118  bind   tcp   0.0.0.0:8080          node[4182] node.service           EACCES
      cause    privileged-port: port 80 is privileged
      try      give it CAP_NET_BIND_SERVICE
    ");
}

#[test]
fn a_beginning_is_only_called_older_when_the_snapshot_proves_it() {
    let process = samples::process("java", 977);
    let bare = Process {
        start_boot_ns: None,
        ..process.clone()
    };
    let lines: String = vec![
        owned(listener(), process.clone(), Some(true), Source::Snapshot),
        owned(listener(), bare.clone(), Some(true), Source::Snapshot),
        owned(listener(), process.clone(), Some(true), Source::Iterator),
        owned(listener(), bare, None, Source::Observed),
        owned(listener(), process.clone(), Some(false), Source::Snapshot),
        Blocker {
            since: Some("2026-11-21T12:00:20.500Z".to_owned()),
            ..listener()
        },
        Blocker {
            since: Some("2026-11-20T08:00:00Z".to_owned()),
            ..listener()
        },
        Blocker {
            since: Some("2026-11-21T12:03:42Z".to_owned()),
            ..listener()
        },
        Blocker {
            since: Some("yester\nday".to_owned()),
            ..listener()
        },
    ]
    .into_iter()
    .map(|blocker| {
        blocked_by(vec![Blocker {
            holders: Vec::new(),
            ..blocker
        }])
    })
    .map(|text| text.split_inclusive('\n').nth(1).unwrap().to_owned())
    .collect();
    assert_snapshot!(lines, @r"
    held by  java[977] java.service  LISTEN 0.0.0.0:8080  before portwatch (process up 3 d 4 h)  exact
    held by  java[977] java.service  LISTEN 0.0.0.0:8080  before portwatch  exact
    held by  java[977] java.service  LISTEN 0.0.0.0:8080  process up 3 d 4 h  exact
    held by  java[977] java.service  LISTEN 0.0.0.0:8080  exact
    held by  java[977] java.service (exited)  LISTEN 0.0.0.0:8080  before portwatch  exact
    held by  java[977] tomcat.service  LISTEN 0.0.0.0:8080  since 13:00:20 (3 m 20 s)  exact
    held by  java[977] tomcat.service  LISTEN 0.0.0.0:8080  since 2026-11-20 09:00:00 (1 d 4 h)  exact
    held by  java[977] tomcat.service  LISTEN 0.0.0.0:8080  since 13:03:42  exact
    held by  java[977] tomcat.service  LISTEN 0.0.0.0:8080  since yester\nday  exact
    ");
}

#[test]
fn without_an_owner_only_the_truth_is_said() {
    let state = |state, inode| {
        unowned(Blocker {
            state,
            inode,
            ..listener()
        })
    };
    let lines: String = [
        unowned(time_wait()),
        unowned(Blocker {
            substate: Some(State::FinWait2),
            expires_in_ms: Some(400),
            ..time_wait()
        }),
        state(State::Established, None),
        state(State::FinWait1, None),
        state(State::Bound, Some(9)),
        Blocker {
            kernel_socket: true,
            ..state(State::Bound, Some(9))
        },
        Blocker {
            owner: None,
            ..listener()
        },
    ]
    .map(|blocker| facts(&blocked_by(vec![blocker])))
    .concat();
    assert_snapshot!(lines, @"
    held by  no process  TIME_WAIT 10.0.0.1:8080 <-> 10.0.0.9:51234  since 13:03:22 (19 s), at least 41 s left  walked
    held by  no process  TIME_WAIT (FIN_WAIT2) 10.0.0.1:8080 <-> 10.0.0.9:51234  since 13:03:22 (19 s), at least 400 ms left  walked
    held by  no process yet (not accepted)  ESTABLISHED 0.0.0.0:8080  exact
    held by  no process  FIN_WAIT1 0.0.0.0:8080  exact
    held by  unknown  BOUND 0.0.0.0:8080  exact
    held by  a kernel socket  BOUND 0.0.0.0:8080  exact
    held by  java[977] tomcat.service  LISTEN 0.0.0.0:8080  exact
    command  java -jar /srv/app.jar
    ");
}

#[test]
fn connections_show_both_ends() {
    let lines: String = [Some(true), Some(false), None]
        .map(|connected_out| Blocker {
            state: State::Established,
            local: address("::1", 40_000),
            remote: Some(address("::1", 443)),
            connected_out,
            device: Some("eth0".to_owned()),
            ..listener()
        })
        .map(|blocker| facts(&blocked_by(vec![blocker])))
        .concat();
    assert_snapshot!(lines, @"
    held by  java[977] tomcat.service  ESTABLISHED [::1]:40000%eth0 -> [::1]:443  before portwatch (process up 3 d 4 h)  exact
    command  java -jar /srv/app.jar
    held by  java[977] tomcat.service  ESTABLISHED [::1]:40000%eth0 <-> [::1]:443  before portwatch (process up 3 d 4 h)  exact
    command  java -jar /srv/app.jar
    held by  java[977] tomcat.service  ESTABLISHED [::1]:40000%eth0 <-> [::1]:443  before portwatch (process up 3 d 4 h)  exact
    command  java -jar /srv/app.jar
    ");
}

#[test]
fn an_orphan_was_left_and_a_half_closed_connection_is_held() {
    let fin_wait = |inode| Blocker {
        state: State::FinWait2,
        inode,
        remote: Some(address("10.0.0.9", 443)),
        holders: Vec::new(),
        ..listener()
    };
    let lines =
        [fin_wait(None), fin_wait(Some(5))].map(|blocker| facts(&blocked_by(vec![blocker])));
    assert_snapshot!(lines.concat(), @"
    left by  java[977] tomcat.service  FIN_WAIT2 0.0.0.0:8080 <-> 10.0.0.9:443  before portwatch  exact
    command  java -jar /srv/app.jar
    held by  java[977] tomcat.service  FIN_WAIT2 0.0.0.0:8080 <-> 10.0.0.9:443  before portwatch (process up 3 d 4 h)  exact
    command  java -jar /srv/app.jar
    ");
}

#[test]
fn holders_are_listed_where_they_are_not_the_owner() {
    let holder = |pid| Holder {
        process: samples::process("nginx", pid),
        fd: 6,
    };
    let master = samples::process("nginx", 980);
    let forked = Blocker {
        holders: (980..990).map(holder).collect(),
        ..owned(listener(), master.clone(), Some(true), Source::Snapshot)
    };
    let dead = Blocker {
        holders: vec![holder(981)],
        ..owned(listener(), master, Some(false), Source::Observed)
    };
    let caller = attempt().process;
    let own = Blocker {
        holders: vec![Holder {
            process: caller.clone(),
            fd: 7,
        }],
        ..owned(listener(), caller, Some(true), Source::Observed)
    };
    assert_snapshot!([forked, dead, own].map(|blocker| facts(&blocked_by(vec![blocker]))).concat(), @"
    held by  nginx[980] nginx.service  LISTEN 0.0.0.0:8080  before portwatch (process up 3 d 4 h)  exact
    open in  nginx[980] fd 6, nginx[981] fd 6, nginx[982] fd 6, nginx[983] fd 6, nginx[984] fd 6, nginx[985] fd 6 and 4 more
    held by  nginx[980] nginx.service (exited)  LISTEN 0.0.0.0:8080  exact
    open in  nginx[981] fd 6
    held by  node[4182] node.service  LISTEN 0.0.0.0:8080  process up 3 d 4 h  exact
    open in  node[4182] fd 7
    ");
}

#[test]
fn the_rest_is_summed_up() {
    let nginx = |pid| {
        let process = samples::process("nginx", pid);
        Blocker {
            holders: Vec::new(),
            ..owned(listener(), process, Some(true), Source::Observed)
        }
    };
    let harmless = Blocker {
        conflicts: Some(false),
        ..other(nginx(5))
    };
    let unclear = Blocker {
        conflicts: None,
        ..other(nginx(6))
    };
    let later = Blocker {
        came_later: true,
        ..other(nginx(7))
    };
    let blockers = vec![
        nginx(980),
        other(nginx(980)),
        other(nginx(981)),
        other(time_wait()),
        other(unowned(time_wait())),
        harmless,
        unclear,
        later,
    ];
    let mut attempt = conflict(blockers, None);
    assert_snapshot!(facts(&shown(attempt.clone())), @"
    held by  nginx[980] nginx.service  LISTEN 0.0.0.0:8080  process up 3 d 4 h  exact
    and      4 more: 2 LISTEN (nginx[981]), 2 TIME_WAIT (python3[3977])
    ");

    let counts = BlockerCounts {
        blockers_truncated: true,
        ..BlockerCounts::default()
    };
    attempt.failure.as_mut().unwrap().blocker_counts = Some(counts);
    assert_snapshot!(facts(&shown(attempt)).lines().last().unwrap(), @"  and      at least 4 more: 2 LISTEN (nginx[981]), 2 TIME_WAIT (python3[3977])");
}
