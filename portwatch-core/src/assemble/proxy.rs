//! Whom a holder has a blocking socket for.

use crate::prelude::*;
use portwatch_common::event::{
    attempt::Candidate,
    socket::{Socket, state},
};

use super::{Assembler, Surroundings, attempt::protocol};
use crate::{
    model::{
        process::{Container, Holder, Owner, Process},
        proxy::{Proxy, Role},
        socket::{Address, Proto},
    },
    verdict::who::proxy::{self, Found, Target},
};

/// A socket of a service manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Managed {
    /// Its inode.
    pub inode: u64,
    /// Where it is bound.
    pub local: Address,
    /// UDP or UDP-Lite; else TCP or another protocol.
    pub udp: bool,
}

impl<S: Surroundings> Assembler<S> {
    /// `None` for a connection, and where nobody has the socket for others, as far as that can be seen.
    ///
    /// A service manager comes before all others: as long as it has the socket, the port stays taken.
    pub(super) fn on_behalf_of(
        &mut self,
        candidate: &Candidate,
        local: Address,
        owner: Option<&Owner>,
        holders: &[Holder],
    ) -> Option<Proxy> {
        let socket = &candidate.socket;
        if !matches!(socket.state, state::LISTEN | state::CLOSE) {
            return None;
        }
        let alive = owner.filter(|owner| owner.alive != Some(false));
        let found: Vec<(&Process, Found)> = alive
            .map(|owner| &owner.process)
            .into_iter()
            .chain(holders.iter().map(|holder| &holder.process))
            .filter_map(|process| Some((process, proxy::of(process, local)?)))
            .collect();
        let of = |role| found.iter().find(move |(_, found)| found.role == role);
        let manager = of(Role::ServiceManager);
        let relay = of(Role::PortProxy);
        let target = relay.and_then(|(process, relay)| Some((process, relay.target.as_ref()?)));
        let behalf = Proxy {
            role: manager.or(relay)?.1.role,
            target: target.and_then(|(_, target)| target.text()),
            container: target.and_then(|(relay, target)| self.container_behind(relay, target)),
            unit: None,
        };
        let unit = manager.and_then(|(manager, _)| self.unit(candidate, manager, local));
        Some(Proxy { unit, ..behalf })
    }

    fn container_behind(&mut self, relay: &Process, target: &Target) -> Option<Container> {
        match target {
            Target::Address { addr, port } => {
                self.surroundings.container_at(*addr, *port, relay.netns)
            }
            Target::Namespace { member } => {
                self.surroundings
                    .container_in(*member, relay.pid, relay.netns)
            }
            Target::Named(_) => None,
        }
    }

    /// The socket unit. systemd binds in a process of the unit's control group, where it counts or filters the unit's
    /// packets (`socket_address_listen_in_cgroup` of `src/core/socket.c`); else it is asked.
    fn unit(&mut self, candidate: &Candidate, manager: &Process, local: Address) -> Option<String> {
        let bound_in = self
            .recorded_owner(candidate)
            .and_then(|(process, ..)| process.unit)
            .filter(|unit| unit.ends_with(".socket"));
        let socket = &candidate.socket;
        bound_in.or_else(|| {
            self.surroundings.socket_unit(
                manager.pid,
                Managed {
                    inode: socket.inode,
                    local,
                    udp: is_udp(socket),
                },
            )
        })
    }
}

fn is_udp(socket: &Socket) -> bool {
    matches!(protocol(socket), Proto::Udp | Proto::Udplite)
}
