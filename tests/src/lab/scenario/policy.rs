//! Binds that somebody forbids, and one that somebody orders: filters and programs inside the kernel.

use std::net::{Ipv4Addr, SocketAddrV4};

use anyhow::{Result, ensure};
use nix::errno::Errno;

use super::Scenario;
use crate::lab::{
    Blame, Cgroup, Lab, Rule, loopback,
    protocol::{
        Kind::{self, Tcp4, Udp4},
        Opt::ResetOnClose,
    },
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new("seccomp", seccomp),
    Scenario::root("cgroup-bind", |lab| {
        group_refuses(lab, Rule::RefuseBind, "cgroup", Tcp4)
    }),
    Scenario::root("cgroup-bind-udp", |lab| {
        group_refuses(lab, Rule::RefuseBind, "cgroup", Udp4)
    }),
    Scenario::root("cgroup-post-bind", |lab| {
        group_refuses(lab, Rule::RefuseBound, "cgroup_post", Tcp4)
    }),
    Scenario::root("kernel-binder", kernel_binder),
];

/// The process has put a filter on itself, which answers in the kernel's place.
fn seccomp(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    lab.checkpoint()?;
    // Of an older process's call it is not known whether it began while tracing.
    let binder = lab.process("pw-sandbox")?;
    let socket = binder.socket(Tcp4)?;
    binder.forbid_bind()?;
    let blame = Blame::cause("policy").stage("seccomp").remedy("the filter");
    binder.bind(socket, port)?.fails(Errno::EACCES, &blame)
}

/// A program of the control group refuses, before or after the port is given; outside of the group the port is free.
fn group_refuses(lab: &Lab, rule: Rule, stage: &str, kind: Kind) -> Result<()> {
    let port = loopback(lab.port()?);
    let group = Cgroup::new(rule)?;
    let (binder, free) = (lab.process("pw-binder")?, lab.process("pw-free")?);
    group.enter(&binder)?;
    lab.checkpoint()?;
    let socket = binder.socket(kind)?;
    let blame = Blame::cause("policy").stage(stage);
    binder.bind(socket, port)?.fails(Errno::EPERM, &blame)?;
    // Kernels before 6.1 let a socket that was refused in the end keep its port.
    binder.close(socket)?;
    let outside = free.socket(kind)?;
    free.bind(outside, port)?.ok()
}

/// A program of the control group binds what connects: no process calls `bind()`.
fn kernel_binder(lab: &Lab) -> Result<()> {
    let (port, server_port) = (lab.port()?, lab.port()?);
    let source = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    let group = Cgroup::new(Rule::BindAtConnect(source))?;
    let (server, holder) = (lab.process("pw-server")?, lab.process("pw-holder")?);
    let binder = lab.process("pw-client")?;
    group.enter(&binder)?;
    server.listener(Tcp4, loopback(server_port), &[])?;
    let listener = holder.listener(Tcp4, loopback(port), &[])?;
    lab.checkpoint()?;
    let blame = Blame::cause("live-listener").by("listen", &holder, listener, loopback(port));
    let connect = |errno| {
        let socket = binder.socket_with(Tcp4, &[ResetOnClose])?;
        binder.connect_bound(socket, loopback(server_port), source.into(), errno)
    };
    connect(Errno::EADDRINUSE as i32)?.in_use(&blame)?;
    holder.close(listener)?;
    let bound = connect(0)?.ok_port()?;
    ensure!(bound == port, "the program bound port {bound}, not {port}");
    Ok(())
}
