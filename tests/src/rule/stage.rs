//! Makes the existing socket what it is to be.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::OwnedFd,
};

use anyhow::Result;
use nix::unistd::{Uid, fchown};
use portwatch_core::{
    model::socket::{Side, State},
    verdict::rule::Transport,
};

use super::{
    bucket::Bucket,
    fate::{Grown, grow},
    kernel::Kernel,
    namespace::Namespace,
    pair::{Ask, Change, End, Fate, Life, OTHER_UID, Pair, Plan},
    socket::{
        accept, as_user, begin_to_connect, claim, connect, leave_port_to_connect, local, open,
        serve, set_reuseaddr, set_reuseport, stop,
    },
};

/// Where UDP sockets are connected to. Nobody need be there.
const DISCARD: u16 = 9;

/// A port that is held.
pub(super) struct Staged {
    /// The sockets that hold it, as the rule sees them. The one that this is about is the last.
    pub(super) existing: Vec<Side>,
    /// What the kernel remembers of them.
    pub(super) bucket: Bucket,
    /// That one, as long as it is open. A socket with a queued connection is its listener.
    pub(super) socket: Option<OwnedFd>,
    /// The peer of a connection.
    _peer: Option<OwnedFd>,
}

/// A planned socket in a state, as the rule sees it.
pub(super) fn side(plan: &Plan, state: State) -> Side {
    Side {
        addr: plan.addr,
        v6only: plan.v6only_when_bound(),
        device: plan.device.index(),
        reuse: plan.reuse,
        reuseport: plan.reuseport,
        reuseport_group: plan.program,
        uid: Some(plan.uid),
        state,
    }
}

/// Has the existing socket of a pair hold a port.
pub(super) fn stage(
    pair: &Pair,
    port: u16,
    namespace: &mut Namespace,
    kernel: &Kernel,
) -> Result<Staged> {
    namespace.set_automatic_ports(None)?;
    match pair.life {
        Life::Connection(End::Accepted | End::AcceptedByOther | End::Queued, _) => {
            incoming(pair, port, kernel)
        }
        Life::Connection(End::Bound | End::Picked, _) => outgoing(pair, port, namespace, kernel),
        Life::Bound | Life::Listening | Life::Stopped | Life::Connected => {
            unconnected(pair, port, kernel)
        }
    }
}

fn unconnected(pair: &Pair, port: u16, kernel: &Kernel) -> Result<Staged> {
    let plan = &pair.existing;
    let socket = open(pair.transport, plan)?;
    let mut existing = side(plan, State::Bound);
    let mut bucket = kernel.empty_bucket();
    claim(&socket, plan.addr, port)?;
    bucket.take(&existing);
    // A second to listen lets the binder bind before.
    let listens = matches!(pair.life, Life::Listening | Life::Stopped);
    if listens && pair.ask != Ask::ListenSecond {
        serve(&socket)?;
        existing.state = State::Listen;
        bucket.take(&existing);
    }
    if pair.life == Life::Stopped {
        stop(&socket)?;
        existing.state = State::Bound;
    }
    if pair.life == Life::Connected {
        connect(&socket, SocketAddr::new(remote(pair), DISCARD))?;
        existing.addr = local(&socket)?.ip();
        existing.state = State::Established;
    }
    change(&socket, &mut existing, pair.change)?;
    Ok(Staged {
        existing: vec![existing],
        bucket,
        socket: Some(socket),
        _peer: None,
    })
}

/// A connection to the existing socket's address. Its listener goes, unless the connection is in its queue.
fn incoming(pair: &Pair, port: u16, kernel: &Kernel) -> Result<Staged> {
    let Life::Connection(end, fate) = pair.life else {
        unreachable!("the life of a connection")
    };
    let plan = &pair.existing;
    let mut bucket = kernel.empty_bucket();
    let listener = open(Transport::Tcp, plan)?;
    claim(&listener, plan.addr, port)?;
    bucket.take(&side(plan, State::Bound));
    serve(&listener)?;
    let listening = side(plan, State::Listen);
    bucket.take(&listening);
    let to = SocketAddr::new(remote(pair), port);
    let peer = open(Transport::Tcp, &Plan::at(to.ip()))?;
    connect(&peer, to)?;

    let mut existing = side(plan, State::Established);
    existing.reuseport_group = false;
    let acceptor = match end {
        End::Queued => {
            existing.addr = in_family(plan, to.ip());
            // Like one that is closed it belongs to no process.
            existing.uid = Some(orphan_uid(plan.uid, kernel));
            return Ok(Staged {
                existing: vec![listening, existing],
                bucket,
                socket: Some(listener),
                _peer: Some(peer),
            });
        }
        End::AcceptedByOther => other(plan.uid),
        _ => plan.uid,
    };
    let socket = as_user(acceptor, || accept(&listener))?;
    drop(listener);
    existing.uid = Some(acceptor);
    existing.addr = local(&socket)?.ip();
    change(&socket, &mut existing, pair.change)?;
    grown(fate, socket, peer, existing, bucket, kernel)
}

/// A connection from the existing socket's address.
fn outgoing(pair: &Pair, port: u16, namespace: &mut Namespace, kernel: &Kernel) -> Result<Staged> {
    let Life::Connection(end, fate) = pair.life else {
        unreachable!("the life of a connection")
    };
    let plan = &pair.existing;
    let socket = open(Transport::Tcp, plan)?;
    let mut existing = side(plan, State::Established);
    existing.reuseport_group = false;
    let bucket = if end == End::Picked {
        namespace.set_automatic_ports(Some(port))?;
        leave_port_to_connect(&socket)?;
        claim(&socket, plan.addr, 0)?;
        kernel.connected_bucket()
    } else {
        claim(&socket, plan.addr, port)?;
        let mut bucket = kernel.empty_bucket();
        bucket.take(&side(plan, State::Bound));
        bucket
    };
    if fate == Fate::SynSent {
        begin_to_connect(&socket, Namespace::deaf(remote(pair)))?;
        existing.state = State::SynSent;
        existing.addr = local(&socket)?.ip();
        change(&socket, &mut existing, pair.change)?;
        return Ok(Staged {
            existing: vec![existing],
            bucket,
            socket: Some(socket),
            _peer: None,
        });
    }
    connect(&socket, Namespace::answering(remote(pair)))?;
    let peer = accept(&namespace.server)?;
    existing.addr = local(&socket)?.ip();
    change(&socket, &mut existing, pair.change)?;
    grown(fate, socket, peer, existing, bucket, kernel)
}

/// The loopback address that a connection of the existing socket, to it or from it, goes to.
fn remote(pair: &Pair) -> IpAddr {
    let Plan { addr, v6only, .. } = pair.existing;
    let v4 = match addr.to_canonical() {
        IpAddr::V4(addr) => Some(addr),
        IpAddr::V6(addr) => {
            (addr.is_unspecified() && !v6only && pair.over_ipv4).then_some(Ipv4Addr::UNSPECIFIED)
        }
    };
    let is_incoming = matches!(
        pair.life,
        Life::Connection(End::Accepted | End::AcceptedByOther | End::Queued, _)
    );
    match (v4, addr) {
        (Some(own), _) => {
            let to = if own.is_unspecified() || !is_incoming {
                Ipv4Addr::LOCALHOST
            } else {
                own
            };
            // An IPv6 socket reaches it in that form alone.
            if addr.is_ipv6() && !is_incoming {
                to.to_ipv6_mapped().into()
            } else {
                to.into()
            }
        }
        (None, own) if is_incoming && own != pair.existing.wildcard() => own,
        _ => Ipv6Addr::LOCALHOST.into(),
    }
}

/// An address as a socket of this plan's family has it.
fn in_family(plan: &Plan, addr: IpAddr) -> IpAddr {
    match addr {
        IpAddr::V4(v4) if plan.addr.is_ipv6() => v4.to_ipv6_mapped().into(),
        _ => addr,
    }
}

const fn other(uid: u32) -> u32 {
    if uid == 0 { OTHER_UID } else { 0 }
}

const fn orphan_uid(uid: u32, kernel: &Kernel) -> u32 {
    if kernel.orphans_keep_uid { uid } else { 0 }
}

fn change(socket: &OwnedFd, side: &mut Side, change: Option<Change>) -> Result<()> {
    match change {
        None => {}
        Some(Change::ReuseAddr) => {
            side.reuse = u8::from(side.reuse == 0);
            set_reuseaddr(socket, side.reuse != 0)?;
        }
        Some(Change::ReusePort) => {
            side.reuseport = !side.reuseport;
            set_reuseport(socket, side.reuseport)?;
        }
        Some(Change::Owner) => {
            let uid = side.uid.map(other);
            fchown(socket, uid.map(Uid::from_raw), None)?;
            side.uid = uid;
        }
    }
    Ok(())
}

/// Lets a connection become what it is to be.
fn grown(
    fate: Fate,
    socket: OwnedFd,
    peer: OwnedFd,
    mut existing: Side,
    bucket: Bucket,
    kernel: &Kernel,
) -> Result<Staged> {
    let Grown { state, own, peer } = grow(fate, socket.into(), peer.into())?;
    existing.state = state;
    if state == State::TimeWait {
        existing.uid = None;
    } else if own.is_none() {
        existing.uid = existing.uid.map(|uid| orphan_uid(uid, kernel));
    }
    Ok(Staged {
        existing: vec![existing],
        bucket,
        socket: own.map(OwnedFd::from),
        _peer: Some(peer.into()),
    })
}
