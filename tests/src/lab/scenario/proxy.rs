//! Proxies: processes under those programs' names, with those arguments, hold a port on behalf of others.

use std::net::Ipv4Addr;

use anyhow::Result;

use super::Scenario;
use crate::{
    expect::truth::Proxy,
    lab::{
        Blame, Cgroup, Lab, Process, loopback,
        protocol::Kind::{Tcp4, Udp4},
    },
};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new("socket-activation", socket_activation),
    Scenario::new("socket-activation-with-service", activated_service),
    Scenario::new("port-proxy", ssh),
    Scenario::root("port-proxy-container", docker_proxy),
    Scenario::new("port-proxy-udp", socat),
];

fn manager() -> Proxy {
    Proxy {
        role: "service_manager".into(),
        ..Proxy::default()
    }
}

fn relay(target: &str) -> Proxy {
    Proxy {
        role: "port_proxy".into(),
        target: Some(target.into()),
        container: None,
    }
}

fn socket_activation(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let systemd = lab.stand_in("systemd", &["--user"])?;
    let binder = lab.process("pw-binder")?;
    let listener = systemd.listener(Tcp4, port, &[])?;
    lab.checkpoint()?;
    let blame = Blame::cause("socket-activation")
        .by("listen", &systemd, listener, port)
        .for_others(manager())
        .remedy("stop and disable the socket unit")
        .remedy("LISTEN_FDS")
        .no_remedy("SO_REUSEADDR");
    let socket = binder.socket(Tcp4)?;
    binder.bind(socket, port)?.in_use(&blame)?;
    systemd.close(listener)?;
    binder.bind(socket, port)?.ok()
}

/// The service has the socket by now; that it ends does not free the port.
fn activated_service(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let systemd = lab.stand_in("systemd", &["--user"])?;
    let binder = lab.process("pw-binder")?;
    let listener = systemd.listener(Tcp4, port, &[])?;
    let service = systemd.fork()?;
    service.exec("pw-service", &[listener], &[])?;
    lab.checkpoint()?;
    let blame = || {
        Blame::cause("socket-activation")
            .by("listen", &systemd, listener, port)
            .for_others(manager())
            .remedy("stop and disable the socket unit")
    };
    let socket = binder.socket(Tcp4)?;
    let both = blame()
        .open_too(&service)
        .by_way_of(systemd.pid(), true, &service, &["fork", "exec"])
        .remedy("stop pw-service");
    binder.bind(socket, port)?.in_use(&both)?;
    service.close(listener)?;
    binder.bind(socket, port)?.in_use(&blame())
}

fn ssh(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let forward = format!("{}:db.example:5432", port.port());
    let ssh = lab.stand_in("ssh", &["-N", "-L", &forward, "user@bastion.example"])?;
    let binder = lab.process("pw-binder")?;
    let listener = ssh.listener(Tcp4, port, &[])?;
    lab.checkpoint()?;
    let blame = Blame::cause("port-proxy")
        .by("listen", &ssh, listener, port)
        .for_others(relay("db.example:5432"))
        .remedy("end ssh")
        .no_remedy("SO_REUSEADDR");
    let socket = binder.socket(Tcp4)?;
    binder.bind(socket, port)?.in_use(&blame)?;
    ssh.close(listener)?;
    binder.bind(socket, port)?.ok()
}

fn socat(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let from = format!("UDP4-RECVFROM:{},fork", port.port());
    let socat = lab.stand_in("socat", &[&from, "UDP4-SENDTO:192.0.2.9:53"])?;
    let binder = lab.process("pw-binder")?;
    let held = socat.socket(Udp4)?;
    socat.bind(held, port)?.ok()?;
    lab.checkpoint()?;
    let blame = Blame::cause("port-proxy")
        .by("bound", &socat, held, port)
        .for_others(relay("192.0.2.9:53"))
        .remedy("end socat");
    let socket = binder.socket(Udp4)?;
    binder.bind(socket, port)?.in_use(&blame)?;
    socat.close(held)?;
    binder.bind(socket, port)?.ok()
}

/// A process in a control group and a network namespace as a container has them.
fn container<'lab>(lab: &'lab Lab, id: &str, address: Ipv4Addr) -> Result<(Cgroup, Process<'lab>)> {
    let group = Cgroup::named(&format!("docker-{id}.scope"))?;
    let inside = lab.process("pw-inside")?;
    group.enter(&inside)?;
    inside.new_netns()?;
    inside.add_address(address)?;
    Ok((group, inside))
}

/// The container is found by its address.
fn docker_proxy(lab: &Lab) -> Result<()> {
    let port = loopback(lab.port()?);
    let id = format!("{:08x}", std::process::id()).repeat(8);
    // As much its own as the port is: the same may be played twice at a time.
    let [high, low] = port.port().to_be_bytes();
    let address = Ipv4Addr::new(198, 18, high, low);
    let (_group, mut inside) = container(lab, &id, address)?;
    let (host_port, address) = (port.port().to_string(), address.to_string());
    #[rustfmt::skip]
    let arguments = [
        "-proto", "tcp", "-host-ip", "127.0.0.1", "-host-port", host_port.as_str(),
        "-container-ip", address.as_str(), "-container-port", "80", "-use-listen-fd",
    ];
    let proxy = lab.stand_in("docker-proxy", &arguments)?;
    let binder = lab.process("pw-binder")?;
    let listener = proxy.listener(Tcp4, port, &[])?;
    lab.checkpoint()?;
    let container = Proxy {
        container: Some(id.clone()),
        ..relay(&format!("{address}:80"))
    };
    let blame = Blame::cause("port-proxy")
        .by("listen", &proxy, listener, port)
        .for_others(container)
        .remedy(&format!("stop the container docker:{}", &id[..12]))
        .no_remedy("SO_REUSEADDR");
    let socket = binder.socket(Tcp4)?;
    binder.bind(socket, port)?.in_use(&blame)?;
    proxy.close(listener)?;
    binder.bind(socket, port)?.ok()?;
    // Before its control group goes.
    inside.end()
}
