//! Connections that block a port: outgoing ones, and those that outlive their listener.

use anyhow::Result;

use super::Scenario;
use crate::lab::{
    Blame, Lab, any, loopback,
    protocol::{
        Kind::Tcp4,
        Opt::{ReceiveBuffer, ResetOnClose, ReuseAddr},
    },
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new("ephemeral-port", ephemeral_port),
    Scenario::new("ephemeral-time-wait", ephemeral_time_wait),
    Scenario::new("lingering-connection", |lab| {
        lingering_connection(lab, false)
    }),
    Scenario::new("lingering-old-reuse", |lab| lingering_connection(lab, true)),
    Scenario::new("lingering-close-wait", lingering_close_wait),
    Scenario::new("inherited-connection", inherited_connection),
    Scenario::new("orphan-connection", orphan_connection),
];

/// A server wants the port that a client has as its source port.
fn ephemeral_port(lab: &Lab) -> Result<()> {
    let server_port = lab.port()?;
    let (server, client) = (lab.process("pw-server")?, lab.process("pw-client")?);
    let binder = lab.process("pw-binder")?;
    server.listener(Tcp4, loopback(server_port), &[])?;
    let outgoing = client.socket_with(Tcp4, &[ResetOnClose])?;
    let port = client.connect(outgoing, loopback(server_port))?;
    lab.checkpoint()?;
    let blame = Blame::cause("ephemeral-port")
        .by("established", &client, outgoing, loopback(port))
        .peer(server_port)
        .remedy("ip_local_reserved_ports")
        .no_remedy("SO_REUSEADDR");
    let socket = binder.socket(Tcp4)?;
    binder.bind(socket, any(port))?.in_use(&blame)?;
    binder.set(socket, ReuseAddr(true))?;
    binder.bind(socket, any(port))?.in_use(&blame)?;
    client.close(outgoing)?;
    binder.bind(socket, any(port))?.ok()
}

/// The client closed first. `SO_REUSEADDR` on the server does not help.
fn ephemeral_time_wait(lab: &Lab) -> Result<()> {
    let server_port = lab.port()?;
    let (server, client) = (lab.process("pw-server")?, lab.process("pw-client")?);
    let binder = lab.process("pw-binder")?;
    let listener = server.listener(Tcp4, loopback(server_port), &[])?;
    let outgoing = client.socket(Tcp4)?;
    let port = client.connect(outgoing, loopback(server_port))?;
    let incoming = server.accept(listener)?;
    client.close(outgoing)?;
    server.await_eof(incoming)?;
    // As for the server's own: see `time_wait`.
    client.await_tcp(port, server_port, Some(5))?;
    server.close(incoming)?;
    client.await_tcp(port, server_port, Some(6))?;
    lab.checkpoint_in_time()?;
    let blame = Blame::cause("ephemeral-time-wait")
        .left_by("time_wait", &client, loopback(port))
        .substate("time_wait")
        .peer(server_port)
        .remedy("ip_local_reserved_ports")
        .no_remedy("SO_REUSEADDR");
    let socket = binder.socket_with(Tcp4, &[ReuseAddr(true)])?;
    binder.bind(socket, loopback(port))?.in_use(&blame)
}

/// A worker goes on with a connection after the listener has closed.
fn lingering_connection(lab: &Lab, old_reuse: bool) -> Result<()> {
    let port = lab.port()?;
    let (server, client) = (lab.process("pw-server")?, lab.process("pw-client")?);
    let binder = lab.process("pw-binder")?;
    let listener = server.listener(Tcp4, loopback(port), &[ReuseAddr(old_reuse)])?;
    let worker = server.fork()?;
    let outgoing = client.socket(Tcp4)?;
    let client_port = client.connect(outgoing, loopback(port))?;
    let incoming = worker.accept(listener)?;
    worker.close(listener)?;
    server.close(listener)?;
    lab.checkpoint()?;
    let blame = Blame::cause("lingering-connection")
        .needs_history()
        .by("established", &worker, incoming, loopback(port))
        .peer(client_port)
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

/// The client has closed, the server has not noticed.
fn lingering_close_wait(lab: &Lab) -> Result<()> {
    let port = lab.port()?;
    let (server, client) = (lab.process("pw-server")?, lab.process("pw-client")?);
    let binder = lab.process("pw-binder")?;
    let listener = server.listener(Tcp4, loopback(port), &[])?;
    let outgoing = client.socket(Tcp4)?;
    let client_port = client.connect(outgoing, loopback(port))?;
    let incoming = server.accept(listener)?;
    client.close(outgoing)?;
    server.close(listener)?;
    server.await_tcp(port, client_port, Some(8))?;
    lab.checkpoint()?;
    let blame = Blame::cause("lingering-connection")
        .needs_history()
        .by("close_wait", &server, incoming, loopback(port))
        .peer(client_port);
    let socket = binder.socket(Tcp4)?;
    binder.bind(socket, loopback(port))?.in_use(&blame)?;
    server.close(incoming)?;
    binder.bind(socket, loopback(port))?.ok()
}

/// The master accepted, then forked a worker for the connection and closed its own descriptor.
fn inherited_connection(lab: &Lab) -> Result<()> {
    let port = lab.port()?;
    let (master, client) = (lab.process("pw-server")?, lab.process("pw-client")?);
    let binder = lab.process("pw-binder")?;
    let listener = master.listener(Tcp4, loopback(port), &[])?;
    let outgoing = client.socket(Tcp4)?;
    let client_port = client.connect(outgoing, loopback(port))?;
    let incoming = master.accept(listener)?;
    let worker = master.fork()?;
    let blame = Blame::cause("lingering-connection")
        .needs_history()
        .by("established", &master, incoming, loopback(port))
        .inherited_by(&worker)
        .peer(client_port);
    worker.close(listener)?;
    master.close(listener)?;
    master.close(incoming)?;
    lab.checkpoint()?;
    let socket = binder.socket(Tcp4)?;
    binder.bind(socket, loopback(port))?.in_use(&blame)
}

/// The server has closed, with data that the client does not read: no process has the connection.
fn orphan_connection(lab: &Lab) -> Result<()> {
    let port = lab.port()?;
    let (server, client) = (lab.process("pw-server")?, lab.process("pw-client")?);
    let binder = lab.process("pw-binder")?;
    let listener = server.listener(Tcp4, loopback(port), &[])?;
    let outgoing = client.socket_with(Tcp4, &[ReceiveBuffer(4096)])?;
    let client_port = client.connect(outgoing, loopback(port))?;
    let incoming = server.accept(listener)?;
    server.fill(incoming)?;
    server.close(incoming)?;
    server.close(listener)?;
    server.await_tcp(port, client_port, Some(4))?;
    lab.checkpoint()?;
    let blame = Blame::cause("orphan-connection")
        .left_by("fin_wait1", &server, loopback(port))
        .peer(client_port);
    let socket = binder.socket(Tcp4)?;
    binder.bind(socket, loopback(port))?.in_use(&blame)?;
    // Data that was not read makes this close a reset.
    client.close(outgoing)?;
    server.await_tcp(port, client_port, None)?;
    binder.bind(socket, loopback(port))?.ok()
}
