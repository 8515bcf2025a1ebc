//! A process holds the port: it listens, or could.

use anyhow::Result;

use super::Scenario;
use crate::lab::{
    Blame, Lab, loopback, loopback6,
    protocol::{
        Kind::{Mptcp4, Tcp4, Tcp6},
        Opt::ReuseAddr,
    },
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new("live-listener", live_listener),
    Scenario::new("same-service", same_service),
    Scenario::new("self-conflict", self_conflict),
    Scenario::new("inherited-listener", inherited_listener),
    Scenario::new("bound-not-listening", bound_not_listening),
    Scenario::new("listen-race", listen_race),
    Scenario::new("v6", v6),
    Scenario::new("mptcp-listener", mptcp_listener),
    Scenario::new("mptcp-binder", mptcp_binder),
];

/// `SO_REUSEADDR` does not help; the end of the listener does.
fn live_listener(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let listener = holder.listener(Tcp4, port, &[])?;
    let blame = Blame::cause("live-listener")
        .by("listen", &holder, listener, port)
        .no_remedy("SO_REUSEADDR")
        .would_not_succeed_if("SO_REUSEADDR");
    let socket = binder.socket(Tcp4)?;
    lab.checkpoint()?;
    binder.bind(socket, port)?.in_use(&blame)?;
    binder.set(socket, ReuseAddr(true))?;
    binder.bind(socket, port)?.in_use(&blame)?;
    holder.close(listener)?;
    binder.bind(socket, port)?.ok()
}

/// Both run the same program.
fn same_service(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let (old, new) = (lab.process("pw-service")?, lab.process("pw-service")?);
    let listener = old.listener(Tcp4, port, &[ReuseAddr(true)])?;
    let socket = new.socket_with(Tcp4, &[ReuseAddr(true)])?;
    lab.checkpoint()?;
    let blame = Blame::cause("same-service")
        .by("listen", &old, listener, port)
        .no_remedy("SO_REUSEADDR");
    new.bind(socket, port)?.in_use(&blame)
}

fn self_conflict(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let binder = lab.process("pw-binder")?;
    let first = binder.listener(Tcp4, port, &[])?;
    lab.checkpoint()?;
    let second = binder.socket(Tcp4)?;
    let blame = Blame::cause("self-conflict").by("listen", &binder, first, port);
    binder.bind(second, port)?.in_use(&blame)
}

/// The process that bound has ended; its child still has the descriptor.
fn inherited_listener(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let (mut parent, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let listener = parent.listener(Tcp4, port, &[])?;
    let child = parent.fork()?;
    let blame = Blame::cause("inherited-descriptor")
        .also("live-listener")
        .when_late("live-listener")
        .by("listen", &parent, listener, port)
        .inherited_by(&child)
        .by_way_of(parent.pid(), false, &child, &["fork"])
        .no_remedy("SOCK_CLOEXEC");
    parent.end()?;
    lab.checkpoint()?;
    let socket = binder.socket(Tcp4)?;
    binder.bind(socket, port)?.in_use(&blame)?;
    child.close(listener)?;
    binder.bind(socket, port)?.ok()
}

/// Only with `SO_REUSEADDR` on both sides can the second bind.
fn bound_not_listening(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let held = holder.socket(Tcp4)?;
    holder.bind(held, port)?.ok()?;
    lab.checkpoint()?;
    let socket = binder.socket(Tcp4)?;
    let blame = |held| {
        Blame::cause("bound-not-listening")
            .by("bound", &holder, held, port)
            .would_succeed_if("SO_REUSEADDR")
    };
    binder.bind(socket, port)?.in_use(&blame(held))?;
    binder.set(socket, ReuseAddr(true))?;
    binder.bind(socket, port)?.in_use(&blame(held))?;

    holder.set(held, ReuseAddr(true))?;
    let without = binder.socket(Tcp4)?;
    binder.bind(without, port)?.in_use(&blame(held))?;
    binder.bind(socket, port)?.ok()
}

/// Both bind; the one that listens second fails, although its bind has succeeded.
fn listen_race(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let (winner, loser) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let won = winner.socket_with(Tcp4, &[ReuseAddr(true)])?;
    let lost = loser.socket_with(Tcp4, &[ReuseAddr(true)])?;
    winner.bind(won, port)?.ok()?;
    loser.bind(lost, port)?.ok()?;
    winner.listen(won)?.ok()?;
    lab.checkpoint()?;
    let blame = Blame::cause("listen-race")
        .by("listen", &winner, won, port)
        .no_remedy("SO_REUSEADDR");
    loser.listen(lost)?.in_use(&blame)?;
    winner.close(won)?;
    loser.listen(lost)?.ok()
}

fn v6(lab: &Lab) -> Result<()> {
    let port = loopback6(lab.port()?);
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let listener = holder.listener(Tcp6, port, &[])?;
    lab.checkpoint()?;
    let socket = binder.socket(Tcp6)?;
    let blame = Blame::cause("live-listener")
        .by("listen", &holder, listener, port)
        .no_remedy("SO_REUSEADDR");
    binder.bind(socket, port)?.in_use(&blame)?;
    holder.close(listener)?;
    binder.bind(socket, port)?.ok()
}

fn mptcp_listener(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let listener = holder.listener(Mptcp4, port, &[])?;
    lab.checkpoint()?;
    let socket = binder.socket(Tcp4)?;
    let blame = Blame::cause("live-listener").by("listen", &holder, listener, port);
    binder.bind(socket, port)?.in_use(&blame)
}

fn mptcp_binder(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let listener = holder.listener(Tcp4, port, &[])?;
    lab.checkpoint()?;
    let socket = binder.socket(Mptcp4)?;
    let blame = Blame::cause("live-listener").by("listen", &holder, listener, port);
    binder.bind(socket, port)?.in_use(&blame)
}
