use insta::assert_snapshot;
use jiff::tz::Offset;
use rstest::rstest;

use super::*;
use crate::{
    model::{
        attempt::{Attempt, Blocker, BlockerCounts, Op},
        process::{Container, Holder, Owner, Process, Source},
        socket::{Proto, State},
        verdict::{Cause, Certainty, Verdict},
    },
    output::samples::{
        self, address, attempt, conflict, listener, other, refused, time_wait, verdict,
    },
};

fn zone() -> TimeZone {
    TimeZone::fixed(Offset::constant(1))
}

/// The text of these records, without the line of the date.
fn text(records: &[Record]) -> String {
    let text = whole(Theme::plain(), records);
    text.split_inclusive('\n').skip(1).collect()
}

fn whole(theme: Theme, records: &[Record]) -> String {
    let mut out = Vec::new();
    let mut text = Text::new(theme, zone());
    for record in records {
        text.record(record, &mut out).unwrap();
    }
    String::from_utf8(out).unwrap()
}

fn shown(attempt: Attempt) -> String {
    text(&[samples::of(attempt)])
}

fn blocked_by(blockers: Vec<Blocker>) -> String {
    shown(conflict(blockers, None))
}

/// The lines behind the first.
fn facts(text: &str) -> String {
    text.split_inclusive('\n').skip(1).collect()
}

fn unowned(blocker: Blocker) -> Blocker {
    Blocker {
        owner: None,
        holders: Vec::new(),
        ..blocker
    }
}

fn owned(blocker: Blocker, process: Process, alive: Option<bool>, source: Source) -> Blocker {
    Blocker {
        owner: Some(Owner {
            process,
            alive,
            source,
        }),
        ..blocker
    }
}

#[test]
fn attempts_that_went_well_are_one_line_each() {
    let any_port = Attempt {
        addr: Some("127.0.0.1".to_owned()),
        port: Some(0),
        bound_port: Some(43211),
        ..attempt()
    };
    let v6 = Attempt {
        op: Op::Listen,
        addr: Some("::".to_owned()),
        device: Some("eth0".to_owned()),
        ..attempt()
    };
    let autobind = Attempt {
        op: Op::Autobind,
        addr: None,
        port: Some(0),
        bound_port: Some(34567),
        ..attempt()
    };
    let unix = |addr: &str| Attempt {
        proto: Proto::Unix,
        addr: Some(addr.to_owned()),
        port: None,
        bound_port: None,
        ..attempt()
    };
    let nothing = Attempt {
        proto: Proto::Unknown,
        addr: None,
        port: None,
        bound_port: None,
        ..attempt()
    };
    let all = [
        attempt(),
        any_port,
        v6,
        autobind,
        unix("/run/my app.sock"),
        unix("@abstract"),
        unix(""),
        nothing,
    ];
    assert_snapshot!(text(&all.map(samples::of)), @r#"
    13:03:41.118  bind   tcp  0.0.0.0:8080          node[4182] node.service           ok
    13:03:41.118  bind   tcp  127.0.0.1:0 -> 43211  node[4182] node.service           ok
    13:03:41.118  listen tcp  [::]:8080%eth0        node[4182] node.service           ok
    13:03:41.118  autobind tcp  ?:0 -> 34567          node[4182] node.service           ok
    13:03:41.118  bind   unix "/run/my app.sock"    node[4182] node.service           ok
    13:03:41.118  bind   unix @abstract             node[4182] node.service           ok
    13:03:41.118  bind   unknown ?                     node[4182] node.service           ok
    "#);
}

#[test]
fn a_listener_in_the_way() {
    assert_snapshot!(shown(conflict(vec![listener()], Some(verdict()))), @"
    13:03:41.118  bind   tcp  0.0.0.0:8080          node[4182] node.service           EADDRINUSE
      held by  java[977] tomcat.service  LISTEN 0.0.0.0:8080  before portwatch (process up 3 d 4 h)  exact
      command  java -jar /srv/app.jar
      cause    live-listener: java[977] listens on 0.0.0.0:8080
      because  the port has a listener, and SO_REUSEPORT is not set on both sockets
      works if java[977] closes it
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
    13:03:41.118  bind   tcp  0.0.0.0:8080          node[4182] node.service           EADDRINUSE
      left by  python3[3977] python3.service (exited)  TIME_WAIT 10.0.0.1:8080 <-> 10.0.0.9:51234  since 13:03:22 (19 s), at least 41 s left  walked
      cause    time-wait: a connection of python3[3977] is in TIME_WAIT
      because  the old socket did not have SO_REUSEADDR
      works if at least 41 s had passed
    ");
}

#[test]
fn errors_without_a_blocker() {
    assert_snapshot!(shown(refused("ENOTSOCK", 88, None)), @"13:03:41.118  bind   tcp  0.0.0.0:8080          node[4182] node.service           ENOTSOCK");
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
    13:03:41.118  bind   tcp  0.0.0.0:8080          node[4182] node.service           EACCES
      cause    privileged-port: port 80 is privileged  walked
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
    let lines: String = [
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
    .map(|blocker| {
        blocked_by(vec![Blocker {
            holders: Vec::new(),
            ..blocker
        }])
    })
    .map(|text| text.split_inclusive('\n').nth(1).unwrap().to_owned())
    .concat();
    assert_snapshot!(lines, @r"
    held by  java[977] java.service  LISTEN 0.0.0.0:8080  before portwatch (process up 3 d 4 h)  exact
    held by  java[977] java.service  LISTEN 0.0.0.0:8080  before portwatch  exact
    held by  java[977] java.service  LISTEN 0.0.0.0:8080  (process up 3 d 4 h)  exact
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
    held by  an unknown process  BOUND 0.0.0.0:8080  exact
    held by  the kernel  BOUND 0.0.0.0:8080  exact
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
    left by  java[977] tomcat.service  FIN_WAIT2 0.0.0.0:8080 <-> 10.0.0.9:443  before portwatch (process up 3 d 4 h)  exact
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
    held by  node[4182] node.service  LISTEN 0.0.0.0:8080  (process up 3 d 4 h)  exact
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
    held by  nginx[980] nginx.service  LISTEN 0.0.0.0:8080  (process up 3 d 4 h)  exact
    and      4 more: 2 LISTEN (nginx[981]), 2 TIME_WAIT (python3[3977])
    ");

    let counts = BlockerCounts {
        blockers_truncated: true,
        ..BlockerCounts::default()
    };
    attempt.failure.as_mut().unwrap().blocker_counts = Some(counts);
    assert_snapshot!(facts(&shown(attempt)).lines().last().unwrap(), @"  and      at least 4 more: 2 LISTEN (nginx[981]), 2 TIME_WAIT (python3[3977])");
}

#[test]
fn containers_and_units() {
    let in_container = |unit: Option<String>, container: Container| Process {
        unit,
        container: Some(container),
        ..samples::process("node", 4182)
    };
    let docker = samples::container("docker");
    let scope = format!("docker-{}.scope", docker.id);
    let lxc = Container {
        id: "web".to_owned(),
        runtime: Some("lxc".to_owned()),
        pod: None,
    };
    let bare = Container {
        runtime: None,
        ..docker.clone()
    };
    let lines: String = [
        in_container(Some(scope), docker),
        in_container(Some("nginx.service".to_owned()), lxc),
        in_container(None, bare),
        Process {
            unit: None,
            ..samples::process("node", 4182)
        },
        Process {
            comm: String::new(),
            ..samples::process("node", 4182)
        },
    ]
    .map(|process| {
        shown(Attempt {
            process,
            ..attempt()
        })
    })
    .concat();
    assert_snapshot!(lines, @"
    13:03:41.118  bind   tcp  0.0.0.0:8080          node[4182] docker:4f2a6d1b9c3e    ok
    13:03:41.118  bind   tcp  0.0.0.0:8080          node[4182] nginx.service lxc:web  ok
    13:03:41.118  bind   tcp  0.0.0.0:8080          node[4182] container:4f2a6d1b9c3e  ok
    13:03:41.118  bind   tcp  0.0.0.0:8080          node[4182]                        ok
    13:03:41.118  bind   tcp  0.0.0.0:8080          pid 4182 node.service             ok
    ");
}

#[rstest]
#[case(&["java"], None)]
#[case(&["/usr/bin/java"], None)]
#[case(&[], None)]
#[case(&["nginx: master process -g daemon off;"], Some("nginx: master process -g daemon off;"))]
#[case(&["python3", "-m", "http.server"], Some("python3 -m http.server"))]
#[case(&["sh", "-c", "exec a b", ""], Some(r#"sh -c "exec a b" """#))]
#[case(&["x", "\x1b[2J"], Some(r#"x "\x1b[2J""#))]
fn command_lines_say_more_than_names(#[case] args: &[&str], #[case] expected: Option<&str>) {
    let cmdline = Some(args.iter().map(|&arg| arg.to_owned()).collect());
    let process = Process {
        cmdline,
        ..samples::process("java", 1)
    };
    assert_eq!(who::command(&process).as_deref(), expected);
}

#[test]
fn long_command_lines_are_cut() {
    let cmdline = Some(vec!["java".to_owned(), "x".repeat(5000)]);
    let command = who::command(&Process {
        cmdline,
        ..samples::process("java", 1)
    })
    .unwrap();
    assert_eq!(command.chars().count(), 120);
    assert!(command.ends_with("xx…"));
}

#[test]
fn hostile_names_cannot_forge_lines() {
    let hostile = "a\n12:00:00 ok\x1b[2J\u{202e}]";
    let process = |pid| Process {
        comm: hostile.to_owned(),
        unit: Some(hostile.to_owned()),
        container: Some(Container {
            id: hostile.to_owned(),
            runtime: Some(hostile.to_owned()),
            pod: None,
        }),
        cmdline: Some(vec![hostile.to_owned(), hostile.to_owned()]),
        ..samples::process("x", pid)
    };
    let blocker = Blocker {
        device: Some(hostile.to_owned()),
        since: Some(hostile.to_owned()),
        holders: vec![Holder {
            process: process(8),
            fd: 3,
        }],
        ..owned(listener(), process(7), Some(true), Source::Observed)
    };
    let verdict = Verdict {
        summary: hostile.to_owned(),
        because: hostile.repeat(2),
        remedies: vec![hostile.to_owned()],
        would_succeed_if: vec![hostile.to_owned()],
        ..verdict()
    };
    let failed = Attempt {
        addr: Some(hostile.to_owned()),
        device: Some(hostile.to_owned()),
        result: hostile.to_owned(),
        process: process(6),
        ..conflict(vec![blocker], Some(verdict))
    };
    let unix = Attempt {
        proto: Proto::Unix,
        addr: Some(hostile.to_owned()),
        ..attempt()
    };
    let lost = Lost {
        kind: hostile.to_owned(),
        count: 1,
        from: hostile.to_owned(),
        to: hostile.to_owned(),
    };
    let mut records = [failed, unix].map(samples::of).to_vec();
    records.push(samples::record(3, Body::Lost(lost)));
    for record in &mut records {
        hostile.clone_into(&mut record.time);
    }
    let text = whole(Theme::plain(), &records);
    let unsafe_left = |c: char| c != '\n' && crate::output::escape::is_unsafe(c);
    assert!(!text.contains(unsafe_left), "{text}");
    assert_eq!(text.lines().count(), 11, "{text}");
}

#[test]
fn the_frame_of_a_log() {
    let mut next_day = samples::of(attempt());
    "2026-11-22T00:00:00.000000000Z".clone_into(&mut next_day.time);
    let records = [
        samples::start(),
        samples::of(attempt()),
        samples::lost("attempt"),
        samples::lost("output"),
        samples::lost("entry"),
        next_day.clone(),
        samples::stop(),
    ];
    assert_snapshot!(whole(Theme::plain(), &records), @"
    -- 2026-11-21 13:03:41 +01:00, web1, Linux 6.12.48-cloud-amd64 x86_64, portwatch 0.1.0 --
    13:03:41.118  bind   tcp  0.0.0.0:8080          node[4182] node.service           ok
    13:03:41.118  lost   37 attempts, between 13:03:39 and 13:03:41
    13:03:41.118  lost   37 records that could not be written, between 13:03:39 and 13:03:41
    13:03:41.118  lost   37 socket records, between 13:03:39 and 13:03:41
    -- 2026-11-22 +01:00 --
    01:00:00.000  bind   tcp  0.0.0.0:8080          node[4182] node.service           ok
    -- 2026-11-21 +01:00 --
    -- 13:03:41.118 stopped: 120 attempts seen, 2 filtered out, 37 lost; failed: 2 live-listener, 1 time-wait; forgotten for want of room: 3 sockets --
    ");
    // The beginning may be missing: the date is shown all the same.
    assert_snapshot!(whole(Theme::plain(), &[next_day.clone(), next_day]), @"
    -- 2026-11-22 +01:00 --
    01:00:00.000  bind   tcp  0.0.0.0:8080          node[4182] node.service           ok
    01:00:00.000  bind   tcp  0.0.0.0:8080          node[4182] node.service           ok
    ");
}

#[test]
fn the_last_line_has_what_there_is() {
    let stop = samples::record(
        9,
        Body::Stop(Stop {
            seen: 1,
            missed: Some(1),
            ..Stop::default()
        }),
    );
    assert_snapshot!(text(&[stop]), @"-- 13:03:41.118 stopped: 1 attempt seen, 1 run of a hook skipped by the kernel --");
}

#[test]
fn colours_change_nothing_but_the_colour() {
    let records = [
        samples::start(),
        samples::of(attempt()),
        samples::of(conflict(
            vec![listener(), other(time_wait())],
            Some(verdict()),
        )),
        samples::lost("attempt"),
        samples::stop(),
    ];
    let coloured = whole(Theme::coloured(), &records);
    assert!(coloured.contains("\x1b["));
    assert_eq!(
        anstream::adapter::strip_str(&coloured).to_string(),
        whole(Theme::plain(), &records)
    );
}
