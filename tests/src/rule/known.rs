//! What is known to be otherwise than the rule says of the pair: there the kernel looks at more than two sockets, or at
//! what no socket tells. It is always more lenient than the rule.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::OwnedFd,
};

use anyhow::{Result, ensure};
use portwatch::{
    model::socket::{Side, State},
    verdict::rule::{Call, Port, Transport, conflict},
};

use super::{
    kernel::Kernel,
    namespace::{Namespace, Setting},
    pair::Plan,
    socket::{Answer, bind, claim, listen, open, serve, stop},
    stage::side,
};

/// `net.ipv4.tcp_migrate_req`: the queue of a listener that is closed moves to another one of its reuseport group.
const MIGRATE: &str = "tcp_migrate_req";

/// Loopback addresses of the families that there are.
fn loopbacks(namespace: &Namespace) -> impl Iterator<Item = IpAddr> + use<> {
    let v6 = namespace.ipv6.then_some(Ipv6Addr::LOCALHOST.into());
    [Ipv4Addr::LOCALHOST.into()].into_iter().chain(v6)
}

/// Plays them all. An error if one is otherwise than known.
pub(super) fn check(namespace: &mut Namespace, kernel: &Kernel) -> Result<()> {
    for addr in loopbacks(namespace) {
        is_crowded(addr, namespace.port()?, kernel)?;
    }
    for addr in loopbacks(namespace) {
        listens_again(addr, namespace.port()?, false)?;
    }
    // Where it is missing a listener always leaves its group when it stops.
    if let Ok(mut migrate) = Setting::open(MIGRATE) {
        migrate.set("1".into())?;
        for addr in loopbacks(namespace) {
            listens_again(addr, namespace.port()?, true)?;
        }
    }
    Ok(())
}

/// A UDP port has more sockets than the kernel likes to compare, all on one address.
///
/// It then looks only at those on the binder's address and the wildcard's. Kernels without the correction of that look at
/// the wildcard's alone if the binder asks for the wildcard.
fn is_crowded(addr: IpAddr, port: u16, kernel: &Kernel) -> Result<()> {
    let existing = Plan {
        reuse: 1,
        ..Plan::at(addr)
    };
    let _crowd = crowd(&existing, port)?;
    for binder in [existing.addr, existing.wildcard()] {
        let ruling = conflict(
            EXPLICIT_UDP,
            &side(&Plan::at(binder), State::Bound),
            &side(&existing, State::Bound),
        );
        let hidden = kernel.crowds_hide && binder != addr;
        let expected = if hidden {
            Answer::Granted
        } else {
            Answer::Refused
        };
        let answer = bind(&open(Transport::Udp, &Plan::at(binder))?, binder, port)?;
        ensure!(
            answer == expected && ruling.conflicts() == Some(true),
            "{binder} against a crowd on {addr}: {answer:?}, not {expected:?}; the rule says {ruling:?}"
        );
    }
    Ok(())
}

/// UDP sockets on one port and address.
pub(super) fn crowd(plan: &Plan, port: u16) -> Result<Vec<OwnedFd>> {
    // The kernel compares up to ten (`udp_lib_get_port` of `net/ipv4/udp.c`).
    let sockets = (0..12).map(|_| {
        let socket = open(Transport::Udp, plan)?;
        claim(&socket, plan.addr, port)?;
        Ok(socket)
    });
    sockets.collect()
}

/// Two listeners share a port. One stops, and listens again.
///
/// Where queues migrate it stays in the group, as a closed member: the kernel then lets it join the group that it is in.
/// The rule cannot see that, and takes it for one of another group.
fn listens_again(addr: IpAddr, port: u16, migrates: bool) -> Result<()> {
    let plan = Plan {
        reuseport: true,
        ..Plan::at(addr)
    };
    let listener = || -> Result<OwnedFd> {
        let socket = open(Transport::Tcp, &plan)?;
        ensure!(bind(&socket, addr, port)? == Answer::Granted);
        serve(&socket)?;
        Ok(socket)
    };
    let (stays, stops) = (listener()?, listener()?);
    stop(&stops)?;
    let binder = Side {
        reuseport_group: migrates,
        ..side(&plan, State::Listen)
    };
    let ruling = conflict(EXPLICIT_TCP, &binder, &side(&plan, State::Listen));
    let answer = listen(&stops)?;
    drop(stays);
    ensure!(
        answer == Answer::Granted && ruling.conflicts() == Some(migrates),
        "{addr}, migration {migrates}: listening again is {answer:?}, the rule says {ruling:?}"
    );
    Ok(())
}

const EXPLICIT_TCP: Call = Call {
    transport: Transport::Tcp,
    port: Port::Explicit,
};
const EXPLICIT_UDP: Call = Call {
    transport: Transport::Udp,
    port: Port::Explicit,
};
