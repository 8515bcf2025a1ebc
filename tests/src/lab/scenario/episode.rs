//! Programs that try again.

use anyhow::Result;

use super::Scenario;
use crate::{
    expect::truth::Episode,
    lab::{
        Blame, Lab, Process, Sock, loopback,
        protocol::{Kind::Tcp4, Opt::ReuseAddr},
    },
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new("retry-until-closed", until_closed),
    Scenario::new("retry-until-exit", until_exit),
    Scenario::new("retry-two-holders", two_holders),
    Scenario::new("retry-restarts", restarts),
    Scenario::new("retry-two-programs", two_programs),
    Scenario::new("retry-listen", listen),
    Scenario::new("retry-gives-up", gives_up),
];

/// An episode that ends well.
fn bound(by: &Process<'_>, port: u16, spells: &[(&str, &Process<'_>, u64)]) -> Episode {
    Episode {
        pid: by.pid(),
        port,
        outcome: "bound".into(),
        attempts: spells.iter().map(|(_, _, failures)| failures).sum::<u64>() + 1,
        processes: 1,
        by: spells
            .iter()
            .map(|(cause, owner, failures)| ((*cause).into(), Some(owner.pid()), *failures))
            .collect(),
        freed: Some("closed".into()),
    }
}

fn live_listener(holder: &Process<'_>, listener: Sock, port: u16) -> Blame {
    Blame::cause("live-listener").by("listen", holder, listener, loopback(port))
}

fn until_closed(lab: &Lab) -> Result<()> {
    let port = lab.port()?;
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let listener = holder.listener(Tcp4, loopback(port), &[])?;
    let blame = live_listener(&holder, listener, port);
    lab.checkpoint()?;
    // With a new socket each time, as programs do.
    for _ in 0..3 {
        let socket = binder.socket(Tcp4)?;
        binder.bind(socket, loopback(port))?.in_use(&blame)?;
        binder.close(socket)?;
    }
    holder.close(listener)?;
    lab.episode(bound(&binder, port, &[("live-listener", &holder, 3)]));
    let socket = binder.socket(Tcp4)?;
    binder.bind(socket, loopback(port))?.ok()
}

fn until_exit(lab: &Lab) -> Result<()> {
    let port = lab.port()?;
    let (mut holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let listener = holder.listener(Tcp4, loopback(port), &[])?;
    let blame = live_listener(&holder, listener, port);
    lab.checkpoint()?;
    let socket = binder.socket(Tcp4)?;
    binder.bind(socket, loopback(port))?.in_use(&blame)?;
    binder
        .bind_then_kill(socket, loopback(port), &holder)?
        .in_use(&blame.owner_is_dying())?;
    lab.episode(Episode {
        freed: Some("exited".into()),
        ..bound(&binder, port, &[("live-listener", &holder, 2)])
    });
    holder.end()?;
    binder.bind(socket, loopback(port))?.ok()
}

/// One after the other has the port.
fn two_holders(lab: &Lab) -> Result<()> {
    let port = lab.port()?;
    let (first, second) = (lab.process("pw-first")?, lab.process("pw-second")?);
    let binder = lab.process("pw-binder")?;
    let listener = first.listener(Tcp4, loopback(port), &[])?;
    let blame = live_listener(&first, listener, port);
    lab.checkpoint()?;
    let socket = binder.socket(Tcp4)?;
    binder.bind(socket, loopback(port))?.in_use(&blame)?;
    binder.bind(socket, loopback(port))?.in_use(&blame)?;
    first.close(listener)?;
    let held = second.socket(Tcp4)?;
    second.bind(held, loopback(port))?.ok()?;
    let blame = Blame::cause("bound-not-listening")
        .by("bound", &second, held, loopback(port))
        .while_tracing();
    binder.bind(socket, loopback(port))?.in_use(&blame)?;
    second.close(held)?;
    lab.episode(bound(
        &binder,
        port,
        &[
            ("live-listener", &first, 2),
            ("bound-not-listening", &second, 1),
        ],
    ));
    binder.bind(socket, loopback(port))?.ok()
}

/// A supervisor starts the program again and again.
fn restarts(lab: &Lab) -> Result<()> {
    let port = lab.port()?;
    let holder = lab.process("pw-holder")?;
    let listener = holder.listener(Tcp4, loopback(port), &[])?;
    let blame = live_listener(&holder, listener, port);
    lab.checkpoint()?;
    for _ in 0..3 {
        let mut service = lab.process("pw-service")?;
        let socket = service.socket(Tcp4)?;
        service.bind(socket, loopback(port))?.in_use(&blame)?;
        service.end()?;
    }
    holder.close(listener)?;
    let service = lab.process("pw-service")?;
    lab.episode(Episode {
        processes: 4,
        ..bound(&service, port, &[("live-listener", &holder, 3)])
    });
    let socket = service.socket(Tcp4)?;
    service.bind(socket, loopback(port))?.ok()
}

/// Each has an episode of its own.
fn two_programs(lab: &Lab) -> Result<()> {
    let port = lab.port()?;
    let holder = lab.process("pw-holder")?;
    let (one, other) = (lab.process("pw-one")?, lab.process("pw-other")?);
    let listener = holder.listener(Tcp4, loopback(port), &[])?;
    let blame = live_listener(&holder, listener, port);
    lab.checkpoint()?;
    let (first, second) = (one.socket(Tcp4)?, other.socket(Tcp4)?);
    one.bind(first, loopback(port))?.in_use(&blame)?;
    other.bind(second, loopback(port))?.in_use(&blame)?;
    one.bind(first, loopback(port))?.in_use(&blame)?;
    holder.close(listener)?;
    lab.episode(bound(&one, port, &[("live-listener", &holder, 2)]));
    one.bind(first, loopback(port))?.ok()?;
    one.close(first)?;
    // What freed it for this one was the end of the listener, too: nobody saw it fail for the other one's socket.
    lab.episode(bound(&other, port, &[("live-listener", &holder, 1)]));
    other.bind(second, loopback(port))?.ok()
}

/// It is `listen()` that fails: a `bind()` that succeeds meanwhile is no end.
fn listen(lab: &Lab) -> Result<()> {
    let port = lab.port()?;
    let (winner, loser) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let won = winner.socket_with(Tcp4, &[ReuseAddr(true)])?;
    let bound_too = |process: &Process<'_>| -> Result<Sock> {
        let socket = process.socket_with(Tcp4, &[ReuseAddr(true)])?;
        process.bind(socket, loopback(port))?.ok()?;
        Ok(socket)
    };
    winner.bind(won, loopback(port))?.ok()?;
    let lost = bound_too(&loser)?;
    winner.listen(won)?.ok()?;
    lab.checkpoint()?;
    let blame = Blame::cause("listen-race").by("listen", &winner, won, loopback(port));
    loser.listen(lost)?.in_use(&blame)?;
    winner.close(won)?;
    let again = bound_too(&loser)?;
    lab.episode(bound(&loser, port, &[("listen-race", &winner, 1)]));
    loser.listen(again)?.ok()
}

fn gives_up(lab: &Lab) -> Result<()> {
    let port = lab.port()?;
    let (holder, mut binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let listener = holder.listener(Tcp4, loopback(port), &[])?;
    let blame = live_listener(&holder, listener, port);
    lab.checkpoint()?;
    let socket = binder.socket(Tcp4)?;
    binder.bind(socket, loopback(port))?.in_use(&blame)?;
    binder.bind(socket, loopback(port))?.in_use(&blame)?;
    lab.episode(Episode {
        outcome: "gave_up".into(),
        attempts: 2,
        freed: None,
        ..bound(&binder, port, &[("live-listener", &holder, 2)])
    });
    binder.end()
}
