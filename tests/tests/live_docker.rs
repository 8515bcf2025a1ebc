//! Containers of a real Docker daemon.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::{fs, os::unix::fs::MetadataExt};

use portwatch_tests::{
    harness::{Trace, can_trace, portwatch_binary},
    programs::{
        Program,
        docker::{Docker, FIRST},
        python,
    },
};
use serde_json::{Value, json};

/// Binds a port of 127.0.0.1, and ends.
const BIND: &str = "import socket, sys; socket.socket().bind(('127.0.0.1', int(sys.argv[1])))";
/// What `docker` itself takes for an id, and shows.
const SHORT: usize = 12;

fn prepared() -> Option<(Docker, Trace)> {
    if !can_trace() {
        return None;
    }
    let docker = Docker::start().unwrap()?;
    let trace = Trace::start(&portwatch_binary().unwrap(), &[]).unwrap();
    Some((docker, trace))
}

/// A program beside the daemon fails to bind this port: the record.
fn refused(docker: &Docker, trace: &Trace, port: u16) -> Option<Value> {
    let mut command = docker.beside_the_daemon(&python()?);
    let mut binder = Program::start(command.args(["-c", BIND, &port.to_string()])).unwrap();
    let pid = binder.pid();
    let record = trace
        .wait_for("bind of python3", |record| {
            record["op"] == "bind" && record["process"]["pid"] == pid && record["port"] == port
        })
        .unwrap();
    binder.wait().unwrap();
    assert_eq!(record["result"], "EADDRINUSE", "{record:#}");
    assert_eq!(record["netns"], netns(docker.pid()), "{record:#}");
    Some(record)
}

fn netns(pid: u32) -> u64 {
    fs::metadata(format!("/proc/{pid}/ns/net")).unwrap().ino()
}

fn primary(record: &Value) -> &Value {
    let blockers = record["blockers"].as_array().unwrap();
    let primary = blockers.iter().find(|blocker| blocker["primary"] == true);
    primary.unwrap_or_else(|| panic!("no primary blocker: {record:#}"))
}

fn remedies(record: &Value) -> String {
    record["verdict"]["remedies"].to_string()
}

/// The container's server listens: the record.
fn listens(trace: &Trace, container: &str, port: u16) -> Value {
    trace
        .wait_for("listen of httpd", |record| {
            record["op"] == "listen"
                && record["result"] == "ok"
                && record["port"] == port
                && record["process"]["container"]["id"] == container
        })
        .unwrap()
}

/// docker-proxy has the port; whom it serves is found without asking the daemon.
#[test]
fn a_published_port() {
    let Some((docker, trace)) = prepared() else {
        return;
    };
    let id = docker
        .run(
            &["--publish", "127.0.0.1:8080:80"],
            &["/bin/httpd", "-f", "-p", "80"],
        )
        .unwrap();
    let Some(record) = refused(&docker, &trace, 8080) else {
        return;
    };
    assert_eq!(record["verdict"]["cause"], "port-proxy", "{record:#}");
    let primary = primary(&record);
    assert_eq!(primary["owner"]["comm"], "docker-proxy", "{record:#}");
    assert_eq!(
        primary["on_behalf_of"],
        json!({
            "role": "port_proxy",
            "target": format!("{FIRST}:80"),
            "container": { "id": id, "runtime": "docker", "pod": null },
            "unit": null,
        }),
        "{record:#}"
    );
    let container = format!("stop the container docker:{}", &id[..SHORT]);
    assert!(remedies(&record).contains(&container), "{record:#}");
    assert!(!remedies(&record).contains("SO_REUSEADDR"), "{record:#}");
    trace.stop().unwrap();
}

/// A container has a port of the host's.
#[test]
fn a_container_in_the_network_of_the_host() {
    let Some((docker, trace)) = prepared() else {
        return;
    };
    let id = docker
        .run(
            &["--network", "host"],
            &["/bin/httpd", "-f", "-p", "127.0.0.1:8081"],
        )
        .unwrap();
    listens(&trace, &id, 8081);
    let Some(record) = refused(&docker, &trace, 8081) else {
        return;
    };
    assert_eq!(record["verdict"]["cause"], "live-listener", "{record:#}");
    assert_eq!(record["process"]["container"], Value::Null, "{record:#}");
    let primary = primary(&record);
    assert_eq!(primary["owner"]["container"]["id"], id, "{record:#}");
    assert_eq!(primary["on_behalf_of"], Value::Null, "{record:#}");
    let named = format!("(docker:{})", &id[..SHORT]);
    assert!(remedies(&record).contains(&named), "{record:#}");
    trace.stop().unwrap();
}

/// One port in two containers is two ports. Who wants it again in one of them is refused for that one's.
#[test]
fn one_port_in_two_containers() {
    let Some((docker, trace)) = prepared() else {
        return;
    };
    let server = ["/bin/httpd", "-f", "-p", "80"];
    let [first, second] = [(); 2].map(|()| docker.run(&[], &server).unwrap());
    let [in_first, in_second] = [&first, &second].map(|id| listens(&trace, id, 80));
    assert_ne!(in_first["netns"], in_second["netns"]);
    assert_ne!(in_first["netns"], netns(docker.pid()));
    for (id, listener) in [(&second, &in_second), (&first, &in_first)] {
        let output = docker.exec(id, &server).unwrap();
        assert!(!output.status.success(), "{output:?}");
        let record = trace
            .wait_for("bind of the second httpd", |record| {
                record["result"] == "EADDRINUSE" && record["process"]["container"]["id"] == *id
            })
            .unwrap();
        assert_eq!(record["netns"], listener["netns"], "{record:#}");
        assert_eq!(record["verdict"]["cause"], "same-service", "{record:#}");
        let primary = primary(&record);
        let owner = &primary["owner"];
        assert_eq!(owner["pid"], listener["process"]["pid"], "{record:#}");
        assert_eq!(owner["container"]["id"], **id, "{record:#}");
    }
    trace.stop().unwrap();
}
