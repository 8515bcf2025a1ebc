use insta::assert_snapshot;
use rstest::rstest;

use super::*;
use portwatch_core::model::{attempt::Op, process::Container, socket::Proto};
use portwatch_core::samples::attempt;

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
    13:03:41.118  bind   tcp   0.0.0.0:8080          node[4182] node.service           ok
    13:03:41.118  bind   tcp   127.0.0.1:0 -> 43211  node[4182] node.service           ok
    13:03:41.118  listen tcp   [::]:8080%eth0        node[4182] node.service           ok
    13:03:41.118  autobind tcp ?:0 -> 34567          node[4182] node.service           ok
    13:03:41.118  bind   unix  "/run/my app.sock"    node[4182] node.service           ok
    13:03:41.118  bind   unix  @abstract             node[4182] node.service           ok
    13:03:41.118  bind   unix  (any)                 node[4182] node.service           ok
    13:03:41.118  bind   unknown ?                     node[4182] node.service           ok
    "#);
}

#[test]
fn the_kernel_is_told_from_the_process_that_it_acts_in() {
    let mut attempt = attempt();
    attempt.facts.kernel = true;
    attempt.process = Process {
        unit: None,
        ..samples::process("kworker/u4:1", 77)
    };
    assert_snapshot!(shown(attempt), @"13:03:41.118  bind   tcp   0.0.0.0:8080          the kernel, in kworker/u4:1[77]   ok");
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
    13:03:41.118  bind   tcp   0.0.0.0:8080          node[4182] docker:4f2a6d1b9c3e    ok
    13:03:41.118  bind   tcp   0.0.0.0:8080          node[4182] nginx.service lxc:web  ok
    13:03:41.118  bind   tcp   0.0.0.0:8080          node[4182] container:4f2a6d1b9c3e  ok
    13:03:41.118  bind   tcp   0.0.0.0:8080          node[4182]                        ok
    13:03:41.118  bind   tcp   0.0.0.0:8080          pid 4182 node.service             ok
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
