//! Who calls, and how.

use anyhow::Result;

use super::Scenario;
use crate::lab::{
    Blame, Lab, any, loopback,
    protocol::{How, Kind::Tcp4},
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new("short-lived-binder", short_lived_binder),
    Scenario::new("short-lived-holder", short_lived_holder),
    Scenario::new("exec-before-bind", exec_before_bind),
    Scenario::new("thread", thread),
    Scenario::new("io-uring", |lab| io_uring(lab, How::Uring)),
    Scenario::new("io-uring-worker", |lab| io_uring(lab, How::UringWorker)),
    Scenario::new("hostile-names", hostile_names),
    Scenario::new("bind-zero", bind_zero),
];

/// It has ended before anyone can look at it.
fn short_lived_binder(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let holder = lab.process("pw-holder")?;
    let listener = holder.listener(Tcp4, port, &[])?;
    lab.checkpoint()?;
    let blame = Blame::cause("live-listener").by("listen", &holder, listener, port);
    for _ in 0..5 {
        lab.bind_once("pw-binder", port)?.in_use(&blame)?;
    }
    holder.close(listener)?;
    lab.bind_once("pw-binder", port)?.ok()
}

/// It is killed as soon as the bind has failed.
fn short_lived_holder(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let (mut holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let listener = holder.listener(Tcp4, port, &[])?;
    lab.checkpoint()?;
    let blame = Blame::cause("live-listener")
        .by("listen", &holder, listener, port)
        .owner_is_dying();
    let socket = binder.socket(Tcp4)?;
    binder
        .bind_then_kill(socket, port, &holder)?
        .in_use(&blame)?;
    holder.end()?;
    binder.bind(socket, port)?.ok()
}

/// The program that made the socket is not the one that binds it.
fn exec_before_bind(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let (holder, binder) = (lab.process("pw-launcher")?, lab.process("pw-launcher")?);
    let held = holder.socket(Tcp4)?;
    holder.exec("pw-holder", &[held], &[b"--serve"])?;
    holder.bind(held, port)?.ok()?;
    holder.listen(held)?.ok()?;
    let socket = binder.socket(Tcp4)?;
    binder.exec("pw-binder", &[socket], &[b"--port", b"8080"])?;
    lab.checkpoint()?;
    let blame = Blame::cause("live-listener").by("listen", &holder, held, port);
    binder.bind(socket, port)?.in_use(&blame)
}

/// The thread that calls is not the leader.
fn thread(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let held = holder.socket(Tcp4)?;
    holder.bind_by(held, port, How::Thread)?.ok()?;
    holder.listen_by(held, How::Thread)?.ok()?;
    lab.checkpoint()?;
    let blame = Blame::cause("live-listener").by("listen", &holder, held, port);
    let socket = binder.socket(Tcp4)?;
    binder.bind_by(socket, port, How::Thread)?.in_use(&blame)?;
    holder.close(held)?;
    binder.bind_by(socket, port, How::Thread)?.ok()
}

/// No system call of bind's or listen's is made at all.
fn io_uring(lab: &Lab, how: How) -> Result<()> {
    let port = loopback(lab.port()?);
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let held = holder.socket(Tcp4)?;
    holder.bind_by(held, port, how)?.ok()?;
    holder.listen_by(held, how)?.ok()?;
    lab.checkpoint()?;
    let blame = Blame::cause("live-listener").by("listen", &holder, held, port);
    let socket = binder.socket(Tcp4)?;
    binder.bind_by(socket, port, how)?.in_use(&blame)?;
    holder.close(held)?;
    binder.bind_by(socket, port, how)?.ok()
}

/// Names and arguments that would wreck a terminal, a line or a parser.
fn hostile_names(lab: &Lab) -> Result<()> {
    const ARGUMENTS: &[&[u8]] = &[
        b"two\nlines",
        b"\x1b[2J\x1b[31mred",
        b"\xff\xfe\x80",
        b"",
        b"\"},{\"",
        "\u{202e}gnp.exe".as_bytes(),
    ];
    let port = loopback(lab.port()?);
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    holder.exec("pw-holder", &[], ARGUMENTS)?;
    holder.set_name(b"a\nb\x1b[2J\xffc\r")?;
    binder.exec("pw-binder", &[], ARGUMENTS)?;
    binder.set_name(b"\x1b]0;x\x07\n\xc3(")?;
    let listener = holder.listener(Tcp4, port, &[])?;
    lab.checkpoint()?;
    let blame = Blame::cause("live-listener").by("listen", &holder, listener, port);
    let socket = binder.socket(Tcp4)?;
    binder.bind(socket, port)?.in_use(&blame)
}

/// The kernel picks a port; `listen()` without a bind does the same.
fn bind_zero(lab: &Lab) -> Result<()> {
    let binder = lab.process("pw-binder")?;
    lab.checkpoint()?;
    let socket = binder.socket(Tcp4)?;
    binder.bind(socket, any(0))?.ok_port()?;
    binder.listen(socket)?.ok()?;
    let unbound = binder.socket(Tcp4)?;
    binder.listen(unbound)?.ok_port()?;
    Ok(())
}
