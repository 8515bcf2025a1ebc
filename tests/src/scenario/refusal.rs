//! Other errors than a port in use, and other sockets than those with ports.

use anyhow::Result;
use nix::errno::Errno;

use super::Scenario;
use crate::{
    lab::{Blame, Lab, loopback},
    protocol::{
        Kind::{Tcp4, Unix},
        Target,
    },
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new("address-not-local", address_not_local),
    Scenario::new("already-bound", already_bound),
    Scenario::new("unix-path", unix_path),
    Scenario::new("unix-abstract", unix_abstract),
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

/// A socket file outlives its server.
fn unix_path(lab: &Lab) -> Result<()> {
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let path = Target::Path(lab.directory().join("socket"));
    lab.checkpoint()?;
    let held = holder.socket(Unix)?;
    holder.bind(held, path.clone())?.ok()?;
    holder.close(held)?;
    let socket = binder.socket(Unix)?;
    binder
        .bind(socket, path)?
        .in_use(&Blame::no_verdict().stage("protocol"))
}

fn unix_abstract(lab: &Lab) -> Result<()> {
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let name = Target::Abstract(format!("portwatch-tests-{}", holder.pid()));
    lab.checkpoint()?;
    let held = holder.socket(Unix)?;
    holder.bind(held, name.clone())?.ok()?;
    let socket = binder.socket(Unix)?;
    binder
        .bind(socket, name.clone())?
        .in_use(&Blame::no_verdict().stage("protocol"))?;
    holder.close(held)?;
    binder.bind(socket, name)?.ok()
}
