//! `SO_REUSEPORT` that does not work as hoped.

use anyhow::Result;

use super::Scenario;
use crate::lab::{
    Blame, Lab, loopback,
    protocol::{
        Kind::Tcp4,
        Opt::{ReusePort, ReusePortProgram},
    },
};

/// Nobody's uid.
const OTHER_UID: u32 = 65534;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::root("reuseport-uid", other_user),
    Scenario::new("reuseport-missing-binder", binder_lacks),
    Scenario::new("reuseport-missing-holder", holder_lacks),
    Scenario::new("reuseport-program", program_before_bind),
];

/// The uid that counts is that of the moment when the socket was made.
fn other_user(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let listener = holder.listener(Tcp4, port, &[ReusePort(true)])?;
    lab.checkpoint()?;
    let made_before = binder.socket_with(Tcp4, &[ReusePort(true)])?;
    binder.set_uid(OTHER_UID)?;
    let made_after = binder.socket_with(Tcp4, &[ReusePort(true)])?;
    let blame = Blame::cause("reuseport-uid").by("listen", &holder, listener, port);
    binder.bind(made_after, port)?.in_use(&blame)?;
    binder.bind(made_before, port)?.ok()
}

fn binder_lacks(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let listener = holder.listener(Tcp4, port, &[ReusePort(true)])?;
    lab.checkpoint()?;
    let socket = binder.socket(Tcp4)?;
    let blame = Blame::cause("reuseport-missing")
        .by("listen", &holder, listener, port)
        .would_succeed_if("SO_REUSEPORT");
    binder.bind(socket, port)?.in_use(&blame)?;
    binder.set(socket, ReusePort(true))?;
    binder.bind(socket, port)?.ok()
}

fn holder_lacks(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let listener = holder.listener(Tcp4, port, &[])?;
    lab.checkpoint()?;
    let socket = binder.socket_with(Tcp4, &[ReusePort(true)])?;
    let blame = Blame::cause("reuseport-missing")
        .by("listen", &holder, listener, port)
        .would_succeed_if("SO_REUSEPORT");
    binder.bind(socket, port)?.in_use(&blame)
}

/// A socket that has a program before it binds is a group of its own, and cannot join another.
fn program_before_bind(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let listener = holder.listener(Tcp4, port, &[ReusePort(true)])?;
    lab.checkpoint()?;
    let with_program = binder.socket_with(Tcp4, &[ReusePort(true), ReusePortProgram])?;
    let blame = Blame::cause("reuseport-missing").by("listen", &holder, listener, port);
    binder.bind(with_program, port)?.in_use(&blame)?;
    let without = binder.socket_with(Tcp4, &[ReusePort(true)])?;
    binder.bind(without, port)?.ok()
}
