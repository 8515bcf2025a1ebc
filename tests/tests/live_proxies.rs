//! Real programs that hold ports on behalf of others.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::{fs, path::Path, process::Command};

use portwatch_tests::{
    harness::{Trace, can_trace, portwatch_binary},
    lab::ports::Claim,
    programs::{Program, connect, find, python, python_script},
};
use serde_json::Value;

/// Binds a port of 127.0.0.1, and ends.
const BIND: &str = "import socket, sys; socket.socket().bind(('127.0.0.1', int(sys.argv[1])))";

fn trace() -> Trace {
    Trace::start(&portwatch_binary().unwrap(), &[]).unwrap()
}

fn attempt(trace: &Trace, pid: u32, op: &str, port: u16) -> Value {
    trace
        .wait_for(&format!("{op} of {pid}"), |record| {
            record["op"] == op && record["process"]["pid"] == pid && record["port"] == port
        })
        .unwrap()
}

/// Starts a program that listens on a port, and has python3 refused for it: the record.
fn refused(trace: &Trace, python: &Path, holder: &Program, port: u16) -> Value {
    let listens = attempt(trace, holder.pid(), "listen", port);
    assert_eq!(listens["result"], "ok", "{listens:#}");
    let mut binder = python_script(python, BIND, port).unwrap();
    let record = attempt(trace, binder.pid(), "bind", port);
    binder.wait().unwrap();
    assert_eq!(record["result"], "EADDRINUSE", "{record:#}");
    let primary = primary(&record);
    assert_eq!(primary["owner"]["pid"], holder.pid(), "{record:#}");
    record
}

fn primary(record: &Value) -> &Value {
    let blockers = record["blockers"].as_array().unwrap();
    let primary = blockers.iter().find(|blocker| blocker["primary"] == true);
    primary.unwrap_or_else(|| panic!("no primary blocker: {record:#}"))
}

#[track_caller]
fn assert_says(record: &Value, cause: &str, target: &Value, remedy: &str) {
    assert_eq!(record["verdict"]["cause"], cause, "{record:#}");
    let behalf = &primary(record)["on_behalf_of"];
    assert_eq!(behalf["target"], *target, "{record:#}");
    let remedies = record["verdict"]["remedies"].to_string();
    assert!(remedies.contains(remedy), "{record:#}");
}

#[test]
fn systemd_socket_activate() {
    let (true, Some(python), Some(activate)) =
        (can_trace(), python(), find("systemd-socket-activate"))
    else {
        return;
    };
    let claim = Claim::new().unwrap();
    let trace = trace();
    let place = format!("127.0.0.1:{}", claim.port);
    let mut command = Command::new(activate);
    let holder = Program::start(command.args(["--listen", &place, "cat"])).unwrap();
    let record = refused(&trace, &python, &holder, claim.port);
    assert_says(&record, "socket-activation", &Value::Null, "LISTEN_FDS");
    trace.stop().unwrap();
}

#[test]
fn socat() {
    let (true, Some(python), Some(socat)) = (can_trace(), python(), find("socat")) else {
        return;
    };
    let claim = Claim::new().unwrap();
    let trace = trace();
    let from = format!("TCP4-LISTEN:{},bind=127.0.0.1,fork", claim.port);
    let mut command = Command::new(socat);
    let holder = Program::start(command.args([&from, "TCP4:192.0.2.9:80"])).unwrap();
    let record = refused(&trace, &python, &holder, claim.port);
    assert_says(&record, "port-proxy", &"192.0.2.9:80".into(), "end socat");
    trace.stop().unwrap();
}

/// A client that forwards a port through a server of our own, and the server's session that does so the other way.
#[test]
fn ssh() {
    let (true, Some(python), Some(ssh), Some(sshd), Some(keygen)) = (
        can_trace(),
        python(),
        find("ssh"),
        find("sshd"),
        find("ssh-keygen"),
    ) else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    for key in ["host", "user"] {
        let mut command = Command::new(&keygen);
        command.args(["-q", "-t", "ed25519", "-N", "", "-f", &path(key)]);
        assert!(command.status().unwrap().success());
    }
    fs::copy(path("user.pub"), path("authorized")).unwrap();
    // The server wants it, even if nobody is separated.
    fs::create_dir_all("/run/sshd").unwrap();
    let [server, local, remote] = [(); 3].map(|()| Claim::new().unwrap());
    let trace = trace();
    let port = server.port.to_string();
    let mut command = Command::new(sshd);
    command.args(["-D", "-f", "/dev/null", "-h", &path("host"), "-p", &port]);
    for option in [
        "ListenAddress=127.0.0.1".to_owned(),
        "StrictModes=no".to_owned(),
        "PidFile=none".to_owned(),
        format!("AuthorizedKeysFile={}", path("authorized")),
    ] {
        command.args(["-o", &option]);
    }
    let _server = Program::start(&mut command).unwrap();
    drop(connect(server.port).unwrap());

    let mut command = Command::new(ssh);
    command.args(["-N", "-F", "/dev/null", "-i", &path("user"), "-p", &port]);
    for option in [
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "BatchMode=yes",
        "ExitOnForwardFailure=yes",
    ] {
        command.args(["-o", option]);
    }
    command.args(["-L", &format!("127.0.0.1:{}:db.example:5432", local.port)]);
    command.args(["-R", &format!("127.0.0.1:{}:127.0.0.1:9", remote.port)]);
    let client = Program::start(command.arg("root@127.0.0.1")).unwrap();
    let record = refused(&trace, &python, &client, local.port);
    assert_says(&record, "port-proxy", &"db.example:5432".into(), "end ssh[");

    connect(remote.port).unwrap();
    let mut binder = python_script(&python, BIND, remote.port).unwrap();
    let record = attempt(&trace, binder.pid(), "bind", remote.port);
    binder.wait().unwrap();
    assert_says(&record, "port-proxy", &Value::Null, "end the SSH session");
    assert_eq!(primary(&record)["owner"]["comm"], "sshd", "{record:#}");
    trace.stop().unwrap();
}
