//! What is tried: two sockets, and the call that sets the one against the other.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use portwatch_core::verdict::rule::Transport;

/// Nobody's uid. The other user is root.
pub(super) const OTHER_UID: u32 = 65534;

/// A socket as it is made, and where it is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Plan {
    pub(super) addr: IpAddr,
    /// `IPV6_V6ONLY`, as it is set.
    pub(super) v6only: bool,
    pub(super) device: Device,
    /// `sk_reuse`: 0, 1 by `SO_REUSEADDR`, 2 by `TCP_REPAIR`.
    pub(super) reuse: u8,
    pub(super) reuseport: bool,
    /// A reuseport program is attached before it binds.
    pub(super) program: bool,
    /// The user who makes it.
    pub(super) uid: u32,
}

impl Plan {
    /// A socket of root's without options.
    pub(super) const fn at(addr: IpAddr) -> Self {
        Self {
            addr,
            v6only: false,
            device: Device::None,
            reuse: 0,
            reuseport: false,
            program: false,
            uid: 0,
        }
    }

    /// `IPV6_V6ONLY` once it is bound: `bind()` to a specific IPv6 address sets it.
    pub(super) fn v6only_when_bound(&self) -> bool {
        self.v6only || is_specific_v6(self.addr)
    }

    /// The wildcard address of its family.
    pub(super) fn wildcard(&self) -> IpAddr {
        match self.addr {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        }
    }
}

/// What a socket is bound to with `SO_BINDTODEVICE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Device {
    None,
    Loopback,
    /// There is none of this number. The rule compares numbers.
    Other,
}

impl Device {
    /// Interface index, 0 for none.
    pub(super) const fn index(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Loopback => 1,
            Self::Other => 77,
        }
    }
}

/// What the existing socket has become when the port is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Life {
    /// Bound, no more.
    Bound,
    /// A listener.
    Listening,
    /// A listener after `shutdown()`: bound, no more.
    Stopped,
    /// One end of a TCP connection.
    Connection(End, Fate),
    /// A UDP socket that is bound, then connected.
    Connected,
}

/// How a connection got the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum End {
    /// Accepted. Its listener is closed.
    Accepted,
    /// Accepted by the other user.
    AcceptedByOther,
    /// Not accepted yet, so its listener is still there. Only with [`Fate::Established`].
    Queued,
    /// Outgoing, from a port that it was bound to.
    Bound,
    /// Outgoing, from a port that `connect()` picked.
    Picked,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Fate {
    /// Nobody answers. Only outgoing.
    SynSent,
    Established,
    /// The peer has closed.
    CloseWait,
    /// It has shut down its side, and is still open.
    HalfClosed,
    /// Closed; the peer takes no more data, not even the FIN.
    FinWait1,
    /// The same, and the peer has closed its side after that.
    Closing,
    /// The same, and the peer had closed its side before.
    LastAck,
    /// Closed, the peer has not: a mini-socket, of the kind `FIN_WAIT2`.
    FinWait2,
    /// Closed, and so has the peer: a mini-socket.
    TimeWait,
}

/// What happens to the existing socket at the end, before it is closed if it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Change {
    /// `SO_REUSEADDR` is set, or cleared if it was.
    ReuseAddr,
    /// So is `SO_REUSEPORT`.
    ReusePort,
    /// It is given to the other user, with `fchown()`.
    Owner,
}

/// How the binder asks for the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Ask {
    /// `bind()`, and `listen()` where that succeeds (TCP).
    Bind,
    /// `bind()` while the existing socket is only bound. Then that listens, and after it the binder.
    ListenSecond,
    /// `bind()` to port 0, where the automatic range is this one port; then `listen()` (TCP).
    Any,
    /// The same with `ip_autobind_reuse`.
    AnyReuse,
    /// `listen()` without `bind()`, where the automatic range is this one port.
    ListenUnbound,
}

/// Two sockets and a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pair {
    pub(super) transport: Transport,
    pub(super) existing: Plan,
    pub(super) life: Life,
    /// If the existing socket is dual-stack, its connection is one of IPv4.
    pub(super) over_ipv4: bool,
    pub(super) change: Option<Change>,
    pub(super) binder: Plan,
    pub(super) ask: Ask,
}

impl Pair {
    /// The nearest one that can be: not every plan goes with every life.
    pub(super) fn made_possible(mut self) -> Self {
        let tcp = self.transport == Transport::Tcp;
        if !tcp {
            if self.life != Life::Bound {
                self.life = Life::Connected;
            }
            if self.ask != Ask::Bind {
                self.ask = Ask::Any;
            }
        } else if self.life == Life::Connected {
            self.life = Life::Bound;
        }
        if let Life::Connection(end, fate) = &mut self.life {
            match (*end, *fate) {
                (End::Queued, _) => {
                    *fate = Fate::Established;
                    // Nobody has it open.
                    self.change = None;
                }
                (End::Accepted | End::AcceptedByOther, Fate::SynSent) => *end = End::Bound,
                _ => {}
            }
        }
        if self.ask == Ask::ListenSecond {
            self.life = Life::Listening;
        }
        let connected = matches!(self.life, Life::Connection(..) | Life::Connected);
        possible(&mut self.existing, tcp && !connected);
        possible(&mut self.binder, tcp);
        if connected && self.existing.device == Device::Other {
            self.existing.device = Device::Loopback;
        }
        self
    }
}

fn possible(plan: &mut Plan, can_repair: bool) {
    let mapped = matches!(plan.addr, IpAddr::V6(addr) if addr.to_ipv4_mapped().is_some());
    plan.v6only &= plan.addr.is_ipv6() && !mapped;
    plan.program &= plan.reuseport;
    if !can_repair {
        plan.reuse = plan.reuse.min(1);
    }
    // bind() looks the device up for any IPv6 address but `::`.
    if plan.device == Device::Other && plan.addr.is_ipv6() && plan.addr != plan.wildcard() {
        plan.device = Device::Loopback;
    }
}

/// True for an IPv6 address that is neither `::` nor an IPv4 one.
pub(super) fn is_specific_v6(addr: IpAddr) -> bool {
    matches!(addr, IpAddr::V6(addr) if !addr.is_unspecified() && addr.to_ipv4_mapped().is_none())
}
