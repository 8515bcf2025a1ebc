//! Other errors than a port in use.

use anyhow::Result;
use nix::errno::Errno;

use super::Scenario;
use crate::lab::{Blame, Lab, loopback, protocol::Kind::Tcp4};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new("address-not-local", address_not_local),
    Scenario::new("already-bound", already_bound),
];

/// An address of TEST-NET-3 (RFC 5737), which no machine has.
fn address_not_local(lab: &Lab) -> Result<()> {
    let port = lab.port()?;
    let binder = lab.process("pw-binder")?;
    lab.checkpoint()?;
    let socket = binder.socket(Tcp4)?;
    let address = std::net::SocketAddr::from(([203, 0, 113, 77], port));
    let blame = Blame::cause("address-not-local").stage("address");
    binder
        .bind(socket, address)?
        .fails(Errno::EADDRNOTAVAIL, &blame)?;
    binder.bind(socket, loopback(port))?.ok()
}

fn already_bound(lab: &Lab) -> Result<()> {
    let (first, second) = (lab.port()?, lab.port()?);
    let binder = lab.process("pw-binder")?;
    let socket = binder.socket(Tcp4)?;
    binder.bind(socket, loopback(first))?.ok()?;
    lab.checkpoint()?;
    let blame = Blame::cause("already-bound").stage("address");
    binder
        .bind(socket, loopback(second))?
        .fails(Errno::EINVAL, &blame)?;
    let fresh = binder.socket(Tcp4)?;
    binder.bind(fresh, loopback(second))?.ok()
}
