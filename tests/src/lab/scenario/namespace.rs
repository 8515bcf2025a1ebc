//! Network namespaces: their ports, and their settings.

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    path::Path,
};

use anyhow::Result;
use nix::errno::Errno;

use super::Scenario;
use crate::lab::{
    Blame, Lab, Process, any, loopback,
    protocol::{
        Kind::{Tcp4, Udp4},
        Opt::ReuseAddr,
    },
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::root("netns", two_namespaces),
    Scenario::root("netns-names", two_named_namespaces),
    Scenario::root("netns-inode-given-again", inode_given_again),
    Scenario::root("netns-of-the-socket", socket_of_another_namespace),
    Scenario::root("self-connect", self_connect),
    Scenario::root("kernel-socket", kernel_socket),
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

/// The same port in two namespaces that have names: each attempt has its own, and so has each holder.
fn two_named_namespaces(lab: &Lab) -> Result<()> {
    let port = any(lab.port()?);
    let (blue, red) = (lab.process("pw-holder")?, lab.process("pw-holder")?);
    let binder = lab.process("pw-binder")?;
    blue.new_netns()?;
    red.new_netns()?;
    let _blue = lab.name_netns(&blue)?;
    let _red = lab.name_netns(&red)?;
    let in_blue = blue.listener(Tcp4, port, &[])?;
    let in_red = red.listener(Tcp4, port, &[])?;
    lab.checkpoint()?;
    let here = binder.socket(Tcp4)?;
    binder.bind(here, port)?.ok()?;
    for (holder, held) in [(&blue, in_blue), (&red, in_red), (&blue, in_blue)] {
        binder.join_netns(holder)?;
        let socket = binder.socket(Tcp4)?;
        let blame = Blame::cause("live-listener").by("listen", holder, held, port);
        binder.bind(socket, port)?.in_use(&blame)?;
    }
    Ok(())
}

/// The kernel listens on the port, for a protocol of its own.
fn kernel_socket(lab: &Lab) -> Result<()> {
    let port = lab.port()?;
    let at = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    let (manager, binder) = (lab.process("pw-manager")?, lab.process("pw-binder")?);
    manager.new_netns()?;
    manager.listen_in_kernel(at)?;
    lab.checkpoint()?;
    binder.join_netns(&manager)?;
    let blame = Blame::cause("kernel-socket")
        .by_the_kernel("listen", &manager, at.into())
        .no_remedy("stop")
        .no_remedy("SO_REUSEADDR");
    let socket = binder.socket_with(Tcp4, &[ReuseAddr(true)])?;
    binder.bind(socket, SocketAddr::from(at))?.in_use(&blame)
}

/// How many namespaces are made until one has the inode of the first. The kernel gives the lowest that is free, if others
/// do not take it.
const NAMESPACES: usize = 50;

/// A namespace with a name goes away. The next one with its inode has no name.
fn inode_given_again(lab: &Lab) -> Result<()> {
    let port = any(lab.port()?);
    let mut old = lab.process("pw-holder")?;
    let (holder, binder) = (lab.process("pw-holder")?, lab.process("pw-binder")?);
    old.new_netns()?;
    let inode = old.netns();
    let name = lab.name_netns(&old)?;
    let held = old.listener(Tcp4, port, &[])?;
    lab.checkpoint()?;
    binder.join_netns(&old)?;
    let socket = binder.socket(Tcp4)?;
    let blame = Blame::cause("live-listener").by("listen", &old, held, port);
    binder.bind(socket, port)?.in_use(&blame)?;
    binder.close(socket)?;
    binder.join_netns(&holder)?;
    drop(name);
    old.end()?;
    for _ in 0..NAMESPACES {
        holder.new_netns()?;
        if holder.netns() == inode {
            break;
        }
    }
    let held = holder.listener(Tcp4, port, &[])?;
    binder.join_netns(&holder)?;
    let socket = binder.socket(Tcp4)?;
    let blame = Blame::cause("live-listener").by("listen", &holder, held, port);
    let blame = blame.while_tracing();
    binder.bind(socket, port)?.in_use(&blame)
}

/// A client tries a port of the automatic range on its own host until the kernel gives it that one as its source port.
fn self_connect(lab: &Lab) -> Result<()> {
    let (client, binder) = (lab.process("pw-client")?, lab.process("pw-binder")?);
    let port = *RANGE.start();
    client.new_netns()?;
    client.write_file(
        Path::new("/proc/sys/net/ipv4/ip_local_port_range"),
        &format!("{port} {port}"),
    )?;
    binder.join_netns(&client)?;
    let itself = client.socket(Tcp4)?;
    client.connect(itself, loopback(port))?;
    lab.checkpoint()?;
    let blame = Blame::cause("self-connect")
        .also("ephemeral-port")
        .by("established", &client, itself, loopback(port))
        .peer(port)
        .remedy("ip_local_reserved_ports")
        .remedy("fixed source port")
        .no_remedy("SO_REUSEADDR");
    let socket = binder.socket(Tcp4)?;
    binder.bind(socket, any(port))?.in_use(&blame)?;
    binder.set(socket, ReuseAddr(true))?;
    binder.bind(socket, loopback(port))?.in_use(&blame)
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
