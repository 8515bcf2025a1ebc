//! Network namespaces: their ports, and their settings.

use std::path::Path;

use anyhow::Result;
use nix::errno::Errno;

use super::Scenario;
use crate::{
    lab::{Blame, Lab, Process, any, loopback},
    protocol::Kind::{Tcp4, Udp4},
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::root("netns", two_namespaces),
    Scenario::root("netns-of-the-socket", socket_of_another_namespace),
    Scenario::root("privileged-port", privileged_port),
    Scenario::root("ephemeral-exhausted", tcp_exhausted),
    Scenario::root("udp-ephemeral-exhausted", udp_exhausted),
];

/// The same port in two namespaces is two ports; a conflict in one names its own holder.
fn two_namespaces(lab: &Lab) -> Result<()> {
    let port = any(lab.port()?);
    let (here, there) = (lab.process("pw-holder")?, lab.process("pw-holder")?);
    let binder = lab.process("pw-binder")?;
    there.new_netns()?;
    let listener = here.listener(Tcp4, port, &[])?;
    let other_listener = there.listener(Tcp4, port, &[])?;
    lab.checkpoint()?;
    let in_the_first = binder.socket(Tcp4)?;
    let blame = Blame::cause("live-listener").by("listen", &here, listener, port);
    binder.bind(in_the_first, port)?.in_use(&blame)?;
    binder.join_netns(&there)?;
    let in_the_second = binder.socket(Tcp4)?;
    let blame = Blame::cause("live-listener").by("listen", &there, other_listener, port);
    binder.bind(in_the_second, port)?.in_use(&blame)
}

/// A socket stays in the namespace that it was made in, wherever its process goes.
fn socket_of_another_namespace(lab: &Lab) -> Result<()> {
    let port = any(lab.port()?);
    let (here, there) = (lab.process("pw-holder")?, lab.process("pw-other")?);
    let binder = lab.process("pw-binder")?;
    there.new_netns()?;
    let held = here.listener(Tcp4, port, &[])?;
    lab.checkpoint()?;
    let socket = binder.socket(Tcp4)?;
    binder.join_netns(&there)?;
    let blame = Blame::cause("live-listener").by("listen", &here, held, port);
    binder.bind(socket, port)?.in_use(&blame)?;
    let own = binder.socket(Tcp4)?;
    binder.bind(own, port)?.ok()
}

fn privileged_port(lab: &Lab) -> Result<()> {
    let binder = lab.process("pw-binder")?;
    binder.new_netns()?;
    // Containers often set 0 here.
    binder.write_file(
        Path::new("/proc/sys/net/ipv4/ip_unprivileged_port_start"),
        "1024",
    )?;
    binder.set_uid(65534)?;
    lab.checkpoint()?;
    let socket = binder.socket(Tcp4)?;
    let blame = Blame::cause("privileged-port")
        .stage("address")
        .remedy("CAP_NET_BIND_SERVICE");
    binder.bind(socket, any(80))?.fails(Errno::EACCES, &blame)?;
    binder.bind(socket, any(1024))?.ok()
}

const RANGE: std::ops::RangeInclusive<u16> = 40_000..=40_003;

/// A process in a namespace whose automatic range has four ports.
fn in_a_narrow_namespace(lab: &Lab) -> Result<Process<'_>> {
    let holder = lab.process("pw-holder")?;
    holder.new_netns()?;
    let range = format!("{} {}", RANGE.start(), RANGE.end());
    holder.write_file(Path::new("/proc/sys/net/ipv4/ip_local_port_range"), &range)?;
    Ok(holder)
}

fn tcp_exhausted(lab: &Lab) -> Result<()> {
    let (holder, binder) = (in_a_narrow_namespace(lab)?, lab.process("pw-binder")?);
    binder.join_netns(&holder)?;
    let mut taken = Vec::new();
    for port in RANGE {
        taken.push(holder.listener(Tcp4, loopback(port), &[])?);
    }
    lab.checkpoint()?;
    let blame = Blame::cause("ephemeral-exhausted");
    let socket = binder.socket(Tcp4)?;
    binder.bind(socket, loopback(0))?.in_use(&blame)?;
    let unbound = binder.socket(Tcp4)?;
    binder.listen(unbound)?.in_use(&blame)?;
    holder.close(taken[0])?;
    binder.bind(socket, loopback(0))?.ok()
}

fn udp_exhausted(lab: &Lab) -> Result<()> {
    let (holder, binder) = (in_a_narrow_namespace(lab)?, lab.process("pw-binder")?);
    binder.join_netns(&holder)?;
    let mut taken = Vec::new();
    for port in RANGE {
        let socket = holder.socket(Udp4)?;
        holder.bind(socket, loopback(port))?.ok()?;
        taken.push(socket);
    }
    lab.checkpoint()?;
    let socket = binder.socket(Udp4)?;
    binder
        .bind(socket, loopback(0))?
        .in_use(&Blame::cause("ephemeral-exhausted"))?;
    holder.close(taken[0])?;
    binder.bind(socket, loopback(0))?.ok()
}
