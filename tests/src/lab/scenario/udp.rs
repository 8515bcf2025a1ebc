//! UDP: no states, and its own rule.

use std::net::SocketAddr;

use anyhow::Result;

use super::Scenario;
use crate::lab::{
    Blame, Lab, any, any6, loopback, loopback6,
    protocol::{
        Kind::{self, Udp4, Udp6},
        Opt::{ReuseAddr, ReusePort},
    },
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new("udp-live", |lab| {
        conflict(lab, "live-listener", (Udp4, loopback), (Udp4, loopback))
    }),
    Scenario::new("udp-wildcard", |lab| {
        conflict(lab, "wildcard-overlap", (Udp4, any), (Udp4, loopback))
    }),
    Scenario::new("udp-v6", |lab| {
        conflict(lab, "live-listener", (Udp6, loopback6), (Udp6, loopback6))
    }),
    Scenario::new("udp-dual-stack", |lab| {
        conflict(lab, "dual-stack", (Udp6, any6), (Udp4, loopback))
    }),
    Scenario::root("udp-reuseport-uid", other_user),
    Scenario::new("udp-ephemeral-port", ephemeral_port),
];

/// A kind of socket, and the address that it is bound to at a port.
type Side = (Kind, fn(u16) -> SocketAddr);

/// `SO_REUSEADDR` on both always helps: the rule has no states.
fn conflict(lab: &Lab, cause: &str, held: Side, wanted: Side) -> Result<()> {
    let port = lab.port()?;
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let at = (held.1)(port);
    let server = holder.socket(held.0)?;
    holder.bind(server, at)?.ok()?;
    lab.checkpoint()?;
    let socket = binder.socket(wanted.0)?;
    let blame = Blame::cause(cause).by("bound", &holder, server, at);
    binder.bind(socket, (wanted.1)(port))?.in_use(&blame)?;
    holder.set(server, ReuseAddr(true))?;
    binder.set(socket, ReuseAddr(true))?;
    binder.bind(socket, (wanted.1)(port))?.ok()
}

fn other_user(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let server = holder.socket_with(Udp4, &[ReusePort(true)])?;
    holder.bind(server, port)?.ok()?;
    lab.checkpoint()?;
    let made_before = binder.socket_with(Udp4, &[ReusePort(true)])?;
    binder.set_uid(65534)?;
    let made_after = binder.socket_with(Udp4, &[ReusePort(true)])?;
    let blame = Blame::cause("reuseport-uid").by("bound", &holder, server, port);
    binder.bind(made_after, port)?.in_use(&blame)?;
    binder.bind(made_before, port)?.ok()
}

/// A client (of DNS, say) has the port as its source port.
fn ephemeral_port(lab: &Lab) -> Result<()> {
    let server_port = lab.port()?;
    let (client, binder) = (lab.process("pw-client")?, lab.process("pw-binder")?);
    let outgoing = client.socket(Udp4)?;
    let port = client.connect(outgoing, loopback(server_port))?;
    lab.checkpoint()?;
    let blame = Blame::cause("ephemeral-port")
        .by("established", &client, outgoing, loopback(port))
        .peer(server_port)
        .remedy("ip_local_reserved_ports");
    let socket = binder.socket(Udp4)?;
    binder.bind(socket, any(port))?.in_use(&blame)?;
    client.close(outgoing)?;
    binder.bind(socket, any(port))?.ok()
}
