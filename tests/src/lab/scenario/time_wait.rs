//! What the connections of an old server leave behind.

use anyhow::Result;

use super::Scenario;
use crate::lab::{
    Blame, Lab, Process, Sock, loopback,
    protocol::{
        Kind::Tcp4,
        Opt::{self, ReuseAddr},
    },
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new("time-wait", |lab| time_wait(lab, false)),
    Scenario::new("time-wait-old-reuse", |lab| time_wait(lab, true)),
    Scenario::new("time-wait-fin-wait2", fin_wait2),
    Scenario::new("time-wait-of-the-dead", old_server_has_ended),
    Scenario::new("listener-behind-time-waits", listener_behind),
];

/// `TCP_FIN_WAIT2` and `TCP_TIME_WAIT`: kinds of mini-socket.
const FIN_WAIT2: Option<u8> = Some(5);
const TIME_WAIT: Option<u8> = Some(6);

fn reuse(on: bool) -> Vec<Opt> {
    if on {
        vec![ReuseAddr(true)]
    } else {
        Vec::new()
    }
}

/// Opens a connection and closes it, the server first: its side stays in `TIME_WAIT`. Gives the client's port.
fn leave(server: &Process<'_>, listener: Sock, client: &Process<'_>, port: u16) -> Result<u16> {
    let outgoing = client.socket(Tcp4)?;
    let client_port = client.connect(outgoing, loopback(port))?;
    let incoming = server.accept(listener)?;
    server.close(incoming)?;
    client.await_eof(outgoing)?;
    // The client's ACK may be delayed. If it came after its FIN, the mini-socket's answer to it would meet a closed
    // socket, whose reset would end the TIME_WAIT (RFC 1337).
    server.await_tcp(port, client_port, FIN_WAIT2)?;
    client.close(outgoing)?;
    server.await_tcp(port, client_port, TIME_WAIT)?;
    Ok(client_port)
}

/// Four combinations: the old server with and without `SO_REUSEADDR`, the new one likewise. Only both together work.
fn time_wait(lab: &Lab, old_reuse: bool) -> Result<()> {
    let port = lab.port()?;
    let (server, client) = (lab.process("pw-server")?, lab.process("pw-client")?);
    let binder = lab.process("pw-binder")?;
    let listener = server.listener(Tcp4, loopback(port), &reuse(old_reuse))?;
    let client_port = leave(&server, listener, &client, port)?;
    server.close(listener)?;
    lab.checkpoint_in_time()?;

    let options: &[&str] = if old_reuse { &["SO_REUSEADDR"] } else { &[] };
    let blame = Blame::cause("time-wait")
        .left_by("time_wait", &server, loopback(port))
        .substate("time_wait")
        .peer(client_port)
        .options(options)
        .would_succeed_if("SO_REUSEADDR");
    let socket = binder.socket(Tcp4)?;
    binder.bind(socket, loopback(port))?.in_use(&blame)?;
    binder.set(socket, ReuseAddr(true))?;
    let second = binder.bind(socket, loopback(port))?;
    if old_reuse {
        second.ok()
    } else {
        second.in_use(&blame)
    }
}

/// The client does not close: the mini-socket waits for its FIN.
fn fin_wait2(lab: &Lab) -> Result<()> {
    let port = lab.port()?;
    let (server, client) = (lab.process("pw-server")?, lab.process("pw-client")?);
    let binder = lab.process("pw-binder")?;
    let listener = server.listener(Tcp4, loopback(port), &[])?;
    let outgoing = client.socket(Tcp4)?;
    let client_port = client.connect(outgoing, loopback(port))?;
    let incoming = server.accept(listener)?;
    server.close(incoming)?;
    server.close(listener)?;
    server.await_tcp(port, client_port, FIN_WAIT2)?;
    let is_mini = server.is_mini_socket(port, client_port)?;
    lab.checkpoint_in_time()?;
    let blame = if is_mini {
        Blame::cause("time-wait")
            .left_by("time_wait", &server, loopback(port))
            .substate("fin_wait2")
    } else {
        Blame::cause("orphan-connection").left_by("fin_wait2", &server, loopback(port))
    };
    let blame = blame.peer(client_port);
    let socket = binder.socket(Tcp4)?;
    binder.bind(socket, loopback(port))?.in_use(&blame)
}

/// The usual restart: the server has ended, and starts again.
fn old_server_has_ended(lab: &Lab) -> Result<()> {
    let port = lab.port()?;
    let (mut old, client) = (lab.process("pw-service")?, lab.process("pw-client")?);
    let listener = old.listener(Tcp4, loopback(port), &[ReuseAddr(true)])?;
    let client_port = leave(&old, listener, &client, port)?;
    old.end()?;
    lab.checkpoint_in_time()?;
    let new = lab.process("pw-service")?;
    let blame = Blame::cause("time-wait")
        .left_by("time_wait", &old, loopback(port))
        .owner_is_dead()
        .substate("time_wait")
        .peer(client_port)
        .options(&["SO_REUSEADDR"])
        .would_succeed_if("SO_REUSEADDR");
    let socket = new.socket(Tcp4)?;
    new.bind(socket, loopback(port))?.in_use(&blame)?;
    new.set(socket, ReuseAddr(true))?;
    new.bind(socket, loopback(port))?.ok()
}

/// More mini-sockets than anyone walks past: the listener is what to act on.
fn listener_behind(lab: &Lab) -> Result<()> {
    const CONNECTIONS: usize = 1000;
    let port = lab.port()?;
    let (server, client) = (lab.process("pw-server")?, lab.process("pw-client")?);
    let binder = lab.process("pw-binder")?;
    let listener = server.listener(Tcp4, loopback(port), &[ReuseAddr(true)])?;
    for _ in 0..CONNECTIONS {
        let outgoing = client.socket(Tcp4)?;
        client.connect(outgoing, loopback(port))?;
        let incoming = server.accept(listener)?;
        server.close(incoming)?;
        client.await_eof(outgoing)?;
        client.close(outgoing)?;
    }
    lab.checkpoint_in_time()?;
    let blame = Blame::cause("live-listener")
        .by("listen", &server, listener, loopback(port))
        .one_of_many();
    let socket = binder.socket(Tcp4)?;
    binder.bind(socket, loopback(port))?.in_use(&blame)?;
    // Without the listener, SO_REUSEADDR helps: the old connections had it too.
    server.close(listener)?;
    binder.set(socket, ReuseAddr(true))?;
    binder.bind(socket, loopback(port))?.ok()
}
