//! A socket stays open although no process has a descriptor of it.

use std::net::SocketAddr;

use anyhow::Result;

use super::Scenario;
use crate::lab::{
    Blame, Lab, Process, loopback,
    protocol::{
        Kind::{Tcp4, Udp4, Unix},
        Target,
    },
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new("in-flight", in_flight),
    Scenario::new("in-flight-udp", in_flight_udp),
    Scenario::new("in-flight-sender-gone", sender_gone),
    Scenario::new("in-flight-not-accepted", not_accepted),
    Scenario::new("pending-accept", pending_accept),
    Scenario::new("pending-accept-shutdown", after_shutdown),
    Scenario::new("pending-uring", pending_uring),
    Scenario::new("pending-uring-registered", registered),
];

fn kept(how: &str, holder: &Process<'_>, keeper: &Process<'_>, port: SocketAddr) -> Blame {
    let cause = if how == "message" {
        "descriptor-in-flight"
    } else {
        "pending-release"
    };
    Blame::cause(cause)
        .also("live-listener")
        .left_by("listen", holder, port)
        .kept_by(how, keeper)
        .no_remedy("SO_REUSEADDR")
}

/// The message is received, and what came with it closed.
fn in_flight(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let (near, far) = holder.pair()?;
    let listener = holder.listener(Tcp4, port, &[])?;
    holder.send(near, listener)?;
    holder.close(listener)?;
    lab.checkpoint()?;
    let blame = kept("message", &holder, &holder, port)
        .remedy("receive the message")
        .would_succeed_if("had received the message");
    let socket = binder.socket(Tcp4)?;
    binder.bind(socket, port)?.in_use(&blame)?;
    let received = holder.receive(far, near)?;
    holder.close(received)?;
    binder.bind(socket, port)?.ok()
}

/// The unix socket is closed with the message in it.
fn in_flight_udp(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let (near, far) = holder.pair()?;
    let held = holder.socket(Udp4)?;
    holder.bind(held, port)?.ok()?;
    // Others are before it.
    let other = holder.socket(Tcp4)?;
    for _ in 0..8 {
        holder.send(near, other)?;
    }
    holder.send(near, held)?;
    holder.close(held)?;
    lab.checkpoint()?;
    let blame = Blame::cause("descriptor-in-flight")
        .left_by("bound", &holder, port)
        .kept_by("message", &holder)
        .remedy("receive the message");
    let socket = binder.socket(Udp4)?;
    binder.bind(socket, port)?.in_use(&blame)?;
    holder.close(far)?;
    binder.bind(socket, port)?.ok()
}

/// Whoever sent it has ended; another process can receive it.
fn sender_gone(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let (mut holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let (near, far) = holder.pair()?;
    let mut receiver = holder.fork()?;
    receiver.exec("pw-receiver", &[far], &[])?;
    let listener = holder.listener(Tcp4, port, &[])?;
    holder.send(near, listener)?;
    let blame = kept("message", &holder, &receiver, port)
        .owner_is_dead()
        .remedy("stop pw-receiver");
    holder.end()?;
    lab.checkpoint()?;
    let socket = binder.socket(Tcp4)?;
    binder.bind(socket, port)?.in_use(&blame)?;
    receiver.end_elsewhere()?;
    binder.bind(socket, port)?.ok()
}

/// The message came with a connection that nobody has accepted.
fn not_accepted(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let receiver = lab.process("pw-receiver")?;
    let path = lab.directory().join("socket");
    let at_path = receiver.socket(Unix)?;
    receiver.bind(at_path, Target::Path(path.clone()))?.ok()?;
    receiver.listen(at_path)?.ok()?;
    let through = holder.socket(Unix)?;
    holder.connect_unix(through, &Target::Path(path))?;
    let listener = holder.listener(Tcp4, port, &[])?;
    holder.send(through, listener)?;
    holder.close(listener)?;
    holder.close(through)?;
    lab.checkpoint()?;
    let blame = kept("message", &holder, &receiver, port).remedy("stop pw-receiver");
    let socket = binder.socket(Tcp4)?;
    binder.bind(socket, port)?.in_use(&blame)?;
    receiver.close(at_path)?;
    binder.bind(socket, port)?.ok()
}

/// A thread sleeps in `accept()`, and another one closes the descriptor.
fn pending_accept(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let (mut holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let listener = holder.listener(Tcp4, port, &[])?;
    holder.accept_in_thread(listener)?;
    holder.close(listener)?;
    lab.checkpoint()?;
    let blame = kept("call", &holder, &holder, port)
        .remedy("end the call")
        .would_succeed_if("shutdown()");
    let socket = binder.socket(Tcp4)?;
    binder.bind(socket, port)?.in_use(&blame)?;
    holder.end()?;
    binder.bind(socket, port)?.ok()
}

/// What the one before would have succeeded with.
fn after_shutdown(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let listener = holder.listener(Tcp4, port, &[])?;
    holder.accept_in_thread(listener)?;
    lab.checkpoint()?;
    holder.shutdown(listener)?;
    holder.close(listener)?;
    lab.until_free(port)?;
    let socket = binder.socket(Tcp4)?;
    binder.bind(socket, port)?.ok()
}

fn pending_uring(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let listener = holder.listener(Tcp4, port, &[])?;
    holder.accept_by_uring(listener)?;
    holder.close(listener)?;
    lab.checkpoint()?;
    let blame = kept("io_uring", &holder, &holder, port)
        .remedy("cancel that request")
        .would_succeed_if("io_uring request");
    let socket = binder.socket(Tcp4)?;
    binder.bind(socket, port)?.in_use(&blame)?;
    holder.close_rings()?;
    lab.until_free(port)?;
    binder.bind(socket, port)?.ok()
}

fn registered(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    let listener = holder.listener(Tcp4, port, &[])?;
    holder.register_with_uring(listener)?;
    holder.close(listener)?;
    lab.checkpoint()?;
    let blame = kept("io_uring", &holder, &holder, port)
        .remedy("registered files")
        .would_succeed_if("registered files");
    let socket = binder.socket(Tcp4)?;
    binder.bind(socket, port)?.in_use(&blame)?;
    holder.close_rings()?;
    lab.until_free(port)?;
    binder.bind(socket, port)?.ok()
}
