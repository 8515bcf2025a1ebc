//! What is known to be otherwise than the rule says of the pair: there the kernel looks at more than two sockets, or at
//! what no socket tells. It is always more lenient than the rule.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::OwnedFd,
};

use anyhow::{Result, ensure};
use portwatch_core::{
    model::socket::{Side, State},
    verdict::rule::{Call, Port, Transport, conflict},
};

use super::{
    kernel::Kernel,
    namespace::{Namespace, Setting},
    pair::Plan,
    socket::{Answer, bind, claim, listen, open, serve, set_reuseaddr, stop},
    stage::side,
};

/// `net.ipv4.tcp_migrate_req`: the queue of a listener that is closed moves to another one of its reuseport group.
const MIGRATE: &str = "tcp_migrate_req";

/// Loopback addresses of the families that there are.
fn loopbacks(namespace: &Namespace) -> impl Iterator<Item = IpAddr> + use<> {
    let v6 = namespace.ipv6.then_some(Ipv6Addr::LOCALHOST.into());
    [Ipv4Addr::LOCALHOST.into()].into_iter().chain(v6)
}

/// Plays them all, and tells what came out. An error if one is otherwise than known.
pub(super) fn check(namespace: &mut Namespace, kernel: &Kernel) -> Result<Vec<String>> {
    let mut rows = Vec::new();
    for addr in loopbacks(namespace) {
        rows.extend(clears_reuse(addr, namespace.port()?, kernel)?);
    }
    if namespace.ipv6 {
        rows.extend(overlooks(namespace, kernel)?);
    }
    for addr in loopbacks(namespace) {
        rows.extend(is_crowded(addr, namespace.port()?, kernel)?);
    }
    for addr in loopbacks(namespace) {
        rows.push(listens_again(addr, namespace.port()?, false)?);
    }
    // Where it is missing a listener always leaves its group when it stops.
    if let Ok(mut migrate) = Setting::open(MIGRATE) {
        migrate.set("1".into())?;
        for addr in loopbacks(namespace) {
            rows.push(listens_again(addr, namespace.port()?, true)?);
        }
    }
    Ok(rows)
}

/// Binds a socket that the rule forbids to, and tells the kernel's answer. An error if it is not the expected one.
fn against(
    transport: Transport,
    existing: &Plan,
    binder: &Plan,
    port: u16,
    expected: Answer,
) -> Result<String> {
    let call = Call {
        transport,
        port: Port::Explicit,
    };
    let bound = |plan| side(plan, State::Bound);
    let ruling = conflict(call, &bound(binder), &bound(existing));
    let answer = bind(&open(transport, binder)?, binder.addr, port)?;
    let row = format!(
        "{answer:?}: {transport:?}, {} against {} (rule: {ruling:?})",
        binder.addr, existing.addr
    );
    ensure!(
        answer == expected && ruling.conflicts() == Some(true),
        "{row}; known is {expected:?}"
    );
    Ok(row)
}

const fn granted_if(is_lenient: bool) -> Answer {
    if is_lenient {
        Answer::Granted
    } else {
        Answer::Refused
    }
}

/// The existing socket clears `SO_REUSEADDR` when it is bound.
///
/// A bucket that remembers its first socket still lets others in that have the option.
fn clears_reuse(addr: IpAddr, port: u16, kernel: &Kernel) -> Result<Vec<String>> {
    let (without, with) = (
        Plan::at(addr),
        Plan {
            reuse: 1,
            ..Plan::at(addr)
        },
    );
    let existing = open(Transport::Tcp, &with)?;
    claim(&existing, addr, port)?;
    set_reuseaddr(&existing, false)?;
    let binders = [
        (without, Answer::Refused),
        (with, granted_if(kernel.first_is_remembered)),
    ];
    let rows = binders.iter().map(|(binder, expected)| {
        let row = against(Transport::Tcp, &without, binder, port, *expected)?;
        Ok(format!("{row}, SO_REUSEADDR cleared after bind()"))
    });
    rows.collect()
}

/// [`Kernel::overlooks`]: where the existing socket is looked up by the binder's address, the bucket of
/// `::ffff:0.0.0.0` may not be found (`inet_bind2_bucket_match_addr_any` of `net/ipv4/inet_hashtables.c`, which compares
/// the address of an IPv6 socket with `::` alone). Any neighbour of these is found.
fn overlooks(namespace: &mut Namespace, kernel: &Kernel) -> Result<Vec<String>> {
    const ANY: &str = "::ffff:0.0.0.0";
    const ONE: &str = "::ffff:127.0.0.1";
    const OTHER: &str = "::ffff:127.0.0.2";
    let table = [
        (Transport::Tcp, ANY, ONE, true),
        (Transport::Tcp, ANY, OTHER, true),
        (Transport::Tcp, ANY, ANY, false),
        (Transport::Tcp, ANY, "::", false),
        (Transport::Tcp, ANY, "0.0.0.0", false),
        (Transport::Tcp, ANY, "127.0.0.1", false),
        (Transport::Tcp, ONE, ANY, false),
        (Transport::Tcp, ONE, ONE, false),
        (Transport::Tcp, "::", ONE, false),
        (Transport::Tcp, "0.0.0.0", ONE, false),
        (Transport::Udp, ANY, ONE, false),
    ];
    let rows = table.iter().map(|&(transport, existing, binder, hides)| {
        let plan = |addr: &str| -> Result<Plan> { Ok(Plan::at(addr.parse()?)) };
        let (existing, binder) = (plan(existing)?, plan(binder)?);
        let port = namespace.port()?;
        let socket = open(transport, &existing)?;
        claim(&socket, existing.addr, port)?;
        let expected = granted_if(hides && kernel.overlooks_mapped_wildcard);
        against(transport, &existing, &binder, port, expected)
    });
    rows.collect()
}

/// A UDP port has more sockets than the kernel likes to compare, all on one address.
///
/// It then looks only at those on the binder's address and the wildcard's. Kernels without the correction of that look at
/// the wildcard's alone if the binder asks for the wildcard.
fn is_crowded(addr: IpAddr, port: u16, kernel: &Kernel) -> Result<Vec<String>> {
    let existing = Plan {
        reuse: 1,
        ..Plan::at(addr)
    };
    let _crowd = crowd(&existing, port)?;
    let rows = [addr, existing.wildcard()].into_iter().map(|binder| {
        let expected = granted_if(kernel.crowds_hide && binder != addr);
        let binder = Plan::at(binder);
        let row = against(Transport::Udp, &existing, &binder, port, expected)?;
        Ok(format!("{row}, a crowd"))
    });
    rows.collect()
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
fn listens_again(addr: IpAddr, port: u16, migrates: bool) -> Result<String> {
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
    let row = format!(
        "{answer:?}: listen() again in a group on {addr}, migration {migrates} (rule: {ruling:?})"
    );
    ensure!(
        answer == Answer::Granted && ruling.conflicts() == Some(migrates),
        "{row}; known is {:?}",
        Answer::Granted
    );
    Ok(row)
}

const EXPLICIT_TCP: Call = Call {
    transport: Transport::Tcp,
    port: Port::Explicit,
};
