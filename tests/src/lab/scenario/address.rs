//! Addresses that differ and overlap all the same.

use std::net::SocketAddr;

use anyhow::Result;

use super::Scenario;
use crate::lab::{
    Blame, Lab, any, any6, loopback, loopback6,
    protocol::{
        Kind::{self, Tcp4, Tcp6},
        Opt::V6Only,
    },
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new("wildcard-held", |lab| {
        conflict(lab, "wildcard-overlap", (Tcp4, any), (Tcp4, loopback))
    }),
    Scenario::new("wildcard-wanted", |lab| {
        conflict(lab, "wildcard-overlap", (Tcp4, loopback), (Tcp4, any))
    }),
    Scenario::new("wildcard-v6", |lab| {
        conflict(lab, "wildcard-overlap", (Tcp6, any6), (Tcp6, loopback6))
    }),
    Scenario::new("dual-stack-held", |lab| {
        conflict(lab, "dual-stack", (Tcp6, any6), (Tcp4, any))
    }),
    Scenario::new("dual-stack-wanted", |lab| {
        conflict(lab, "dual-stack", (Tcp4, any), (Tcp6, any6))
    }),
    Scenario::new("dual-stack-v6only", v6only),
];

/// A kind of socket, and the address that it is bound to at a port.
type Side = (Kind, fn(u16) -> SocketAddr);

fn conflict(lab: &Lab, cause: &str, held: Side, wanted: Side) -> Result<()> {
    let port = lab.port()?;
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let at = (held.1)(port);
    let listener = holder.listener(held.0, at, &[])?;
    lab.checkpoint()?;
    let socket = binder.socket(wanted.0)?;
    let blame = Blame::cause(cause)
        .by("listen", &holder, listener, at)
        .no_remedy("SO_REUSEADDR");
    binder.bind(socket, (wanted.1)(port))?.in_use(&blame)?;
    holder.close(listener)?;
    binder.bind(socket, (wanted.1)(port))?.ok()
}

/// The remedy: with `IPV6_V6ONLY` both have their place.
fn v6only(lab: &Lab) -> Result<()> {
    let port = lab.port()?;
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let listener = holder.listener(Tcp4, any(port), &[])?;
    lab.checkpoint()?;
    let socket = binder.socket(Tcp6)?;
    let blame = Blame::cause("dual-stack")
        .by("listen", &holder, listener, any(port))
        .would_succeed_if("IPV6_V6ONLY");
    binder.bind(socket, any6(port))?.in_use(&blame)?;
    binder.set(socket, V6Only(true))?;
    binder.bind(socket, any6(port))?.ok()
}
