//! Programs that people run.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

use std::{fs, net::TcpStream, path::Path, process::Command};

use portwatch_tests::{
    harness::{Trace, can_trace, portwatch_binary},
    lab::ports::Claim,
    programs::{Program, close_after_server, connect, find, python, python_script},
};
use serde_json::Value;

/// Listens on 127.0.0.1 until it is killed.
const HOLD: &str = "
import signal, socket, sys
s = socket.socket()
s.bind(('127.0.0.1', int(sys.argv[1])))
s.listen()
signal.pause()
";

fn trace(port: u16) -> Trace {
    let portwatch = portwatch_binary().expect("a portwatch binary");
    Trace::start(&portwatch, &["-p", &port.to_string()]).expect("portwatch traces")
}

/// Waits for an attempt of a process.
fn attempt(trace: &Trace, pid: u32, op: &str, result: &str) -> Value {
    let wanted = |record: &Value| {
        record["op"] == op && record["result"] == result && record["process"]["pid"] == pid
    };
    trace
        .wait_for(&format!("{op} {result} of {pid}"), wanted)
        .expect("a record")
}

fn primary(record: &Value) -> &Value {
    let blockers = record["blockers"].as_array().expect("blockers");
    let mut primaries = blockers.iter().filter(|blocker| blocker["primary"] == true);
    let primary = primaries
        .next()
        .unwrap_or_else(|| panic!("no primary blocker: {record:#}"));
    assert!(
        primaries.next().is_none(),
        "more than one primary blocker: {record:#}"
    );
    primary
}

#[track_caller]
fn assert_blames(record: &Value, cause: &str, state: &str, owner: u32) {
    assert_eq!(record["verdict"]["cause"], cause, "{record:#}");
    let primary = primary(record);
    assert_eq!(primary["state"], state, "{record:#}");
    assert_eq!(primary["owner"]["pid"], owner, "{record:#}");
}

fn http_server(python: &Path, port: u16) -> Program {
    let mut command = Command::new(python);
    command.args(["-m", "http.server", &port.to_string()]);
    Program::start(&mut command).expect("python3 starts")
}

#[test]
fn python_http_server_twice() {
    let (true, Some(python)) = (can_trace(), python()) else {
        return;
    };
    let claim = Claim::new().unwrap();
    let trace = trace(claim.port);
    let first = http_server(&python, claim.port);
    attempt(&trace, first.pid(), "listen", "ok");
    let mut second = http_server(&python, claim.port);
    let record = attempt(&trace, second.pid(), "bind", "EADDRINUSE");
    assert_blames(&record, "same-service", "listen", first.pid());
    assert_eq!(record["process"]["exe"], python.display().to_string());
    let holders = primary(&record)["holders"].as_array().unwrap();
    assert_eq!(holders.len(), 1, "{record:#}");
    assert_eq!(holders[0]["process"]["pid"], first.pid());
    assert!(!second.wait().unwrap().success());
    trace.stop().unwrap();
}

#[test]
fn a_holder_older_than_portwatch() {
    let (true, Some(python)) = (can_trace(), python()) else {
        return;
    };
    let claim = Claim::new().unwrap();
    let holder = http_server(&python, claim.port);
    drop(connect(claim.port).unwrap());
    let trace = trace(claim.port);
    let mut binder = python_script(&python, HOLD, claim.port).unwrap();
    let record = attempt(&trace, binder.pid(), "bind", "EADDRINUSE");
    let primary = primary(&record);
    assert_eq!(primary["state"], "listen", "{record:#}");
    assert_eq!(primary["owner"]["pid"], holder.pid(), "{record:#}");
    assert_eq!(primary["owner"]["source"], "snapshot", "{record:#}");
    assert_eq!(primary["since"], Value::Null, "{record:#}");
    binder.wait().unwrap();
    trace.stop().unwrap();
}

/// nginx tries five times, and gives up.
#[test]
fn nginx_retries() {
    let (true, Some(python), Some(nginx)) = (can_trace(), python(), find("nginx")) else {
        return;
    };
    let claim = Claim::new().unwrap();
    let port = claim.port;
    let trace = trace(port);
    let holder = python_script(&python, HOLD, port).unwrap();
    attempt(&trace, holder.pid(), "listen", "ok");

    let directory = tempfile::tempdir().unwrap();
    let prefix = directory.path();
    let configuration = format!(
        "daemon off; master_process off; pid nginx.pid; error_log stderr; events {{}}
        http {{ access_log off; server {{ listen 127.0.0.1:{port}; }} }}"
    );
    fs::write(prefix.join("nginx.conf"), configuration).unwrap();
    let mut command = Command::new(nginx);
    command.arg("-p").arg(prefix).args(["-c", "nginx.conf"]);
    let mut nginx = Program::start(&mut command).unwrap();
    let pid = nginx.pid();
    assert!(!nginx.wait().unwrap().success());

    let finished = trace.stop().unwrap();
    let is_attempt = |record: &&Value| {
        record["type"] == "attempt" && record["process"]["pid"] == pid && record["port"] == port
    };
    let attempts: Vec<&Value> = finished.records.iter().filter(is_attempt).collect();
    assert_eq!(attempts.len(), 5, "{attempts:#?}");
    for record in attempts {
        assert_eq!(record["result"], "EADDRINUSE");
        assert_eq!(record["process"]["comm"], "nginx");
        assert_blames(record, "live-listener", "listen", holder.pid());
    }
}

#[test]
fn redis_on_a_taken_port() {
    let Some(redis) = find("redis-server") else {
        return;
    };
    taken_port("redis-server", |port, directory| {
        let mut command = Command::new(&redis);
        command.args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
        ]);
        command.arg("--dir").arg(directory);
        command
    });
}

#[test]
fn node_on_a_taken_port() {
    let Some(node) = find("node") else { return };
    taken_port("node", |port, _| {
        let mut command = Command::new(&node);
        command.args([
            "-e",
            &format!("require('net').createServer().listen({port}, '127.0.0.1')"),
        ]);
        command
    });
}

/// A server that sets `SO_REUSEADDR` wants a port on which python3 listens.
fn taken_port(comm: &str, command: impl Fn(u16, &Path) -> Command) {
    let (true, Some(python)) = (can_trace(), python()) else {
        return;
    };
    let claim = Claim::new().unwrap();
    let trace = trace(claim.port);
    let holder = python_script(&python, HOLD, claim.port).unwrap();
    attempt(&trace, holder.pid(), "listen", "ok");
    let directory = tempfile::tempdir().unwrap();
    let mut server = Program::start(&mut command(claim.port, directory.path())).unwrap();
    let record = attempt(&trace, server.pid(), "bind", "EADDRINUSE");
    assert_blames(&record, "live-listener", "listen", holder.pid());
    assert_eq!(record["process"]["comm"], comm);
    assert!(
        record["options"]
            .as_array()
            .unwrap()
            .contains(&"SO_REUSEADDR".into()),
        "{record:#}"
    );
    let remedies = record["verdict"]["remedies"].to_string();
    assert!(!remedies.contains("SO_REUSEADDR"), "{remedies}");
    assert!(!server.wait().unwrap().success());
    trace.stop().unwrap();
}

#[test]
fn restart_in_time_wait_0_0() {
    restart_in_time_wait(false, false);
}

#[test]
fn restart_in_time_wait_0_1() {
    restart_in_time_wait(false, true);
}

#[test]
fn restart_in_time_wait_1_0() {
    restart_in_time_wait(true, false);
}

#[test]
fn restart_in_time_wait_1_1() {
    restart_in_time_wait(true, true);
}

/// A server that closes first is killed and started again, with and without `SO_REUSEADDR` then and now.
fn restart_in_time_wait(old_reuse: bool, new_reuse: bool) {
    let (true, Some(python)) = (can_trace(), python()) else {
        return;
    };
    let script = |reuse: bool| {
        format!(
            "
import signal, socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, {})
s.bind(('127.0.0.1', int(sys.argv[1])))
s.listen()
s.accept()[0].close()
signal.pause()
",
            u8::from(reuse)
        )
    };
    let claim = Claim::new().unwrap();
    let port = claim.port;
    let trace = trace(port);
    let mut old = python_script(&python, &script(old_reuse), port).unwrap();
    attempt(&trace, old.pid(), "listen", "ok");
    let client_port = close_after_server(connect(port).unwrap()).unwrap();
    old.kill().unwrap();

    let mut new = python_script(&python, &script(new_reuse), port).unwrap();
    if old_reuse && new_reuse {
        attempt(&trace, new.pid(), "listen", "ok");
    } else {
        let record = attempt(&trace, new.pid(), "bind", "EADDRINUSE");
        assert_blames(&record, "time-wait", "time_wait", old.pid());
        let primary = primary(&record);
        assert_eq!(primary["owner"]["alive"], false, "{record:#}");
        assert_eq!(primary["remote"]["port"], client_port, "{record:#}");
        let left = primary["expires_in_ms"].as_u64().unwrap();
        assert!((1..=60_000).contains(&left), "{record:#}");
        let counterfactuals = record["verdict"]["would_succeed_if"].to_string();
        assert!(counterfactuals.contains("SO_REUSEADDR"), "{record:#}");
        assert!(!new.wait().unwrap().success());
    }
    trace.stop().unwrap();
}

/// This test's own connection has the port that python3 wants.
#[test]
fn source_port_of_a_connection() {
    let (true, Some(python)) = (can_trace(), python()) else {
        return;
    };
    let claim = Claim::new().unwrap();
    let portwatch = portwatch_binary().unwrap();
    let trace = Trace::start(&portwatch, &[]).unwrap();
    let server = python_script(&python, HOLD, claim.port).unwrap();
    attempt(&trace, server.pid(), "listen", "ok");
    let client = TcpStream::connect(("127.0.0.1", claim.port)).unwrap();
    let port = client.local_addr().unwrap().port();
    let mut binder = python_script(&python, HOLD, port).unwrap();
    let record = attempt(&trace, binder.pid(), "bind", "EADDRINUSE");
    assert_blames(&record, "ephemeral-port", "established", std::process::id());
    assert_eq!(primary(&record)["remote"]["port"], claim.port, "{record:#}");
    let remedies = record["verdict"]["remedies"].to_string();
    assert!(remedies.contains("ip_local_reserved_ports"), "{record:#}");
    binder.wait().unwrap();
    trace.stop().unwrap();
}
