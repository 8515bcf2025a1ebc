//! The kernel's conflict rule: may one socket take a port that another has?
//!
//! For TCP (and MPTCP, whose subflows bind) `inet_csk_bind_conflict` and `inet_bind_conflict` of
//! `net/ipv4/inet_connection_sock.c`; for UDP and UDP-Lite `udp_lib_lport_inuse` of `net/ipv4/udp.c`; for the addresses
//! `inet_rcv_saddr_equal`. Both sockets are taken to be on the same port of the same network namespace (and VRF): that
//! is what puts them in one bucket.
//!
//! The rule speaks of one pair. The kernel has shortcuts over whole buckets (`fastreuse`, `fastreuseport`, a compatible
//! UDP socket that is met first), but they only ever allow. So a call that was refused was refused by a pair that
//! conflicts here.
//!
//! Where kernels differ:
//! - Before 6.8 a bucket whose sockets all had `SO_REUSEADDR` when they were bound stays open to others that have it,
//!   even after one of them has cleared the option. From 6.8 on each pair is compared.
//! - From 5.15 on a reuseport group does not bar its socket from another group if it has closed members (a migration
//!   under way). No socket tells that, so such a pair counts as a conflict.

pub(crate) mod case;
pub(crate) mod kind;
pub(crate) mod primary;
pub(crate) mod reach;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::{
    socket::{Proto, Side, State},
    verdict::Clause,
};

/// Whose table it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP and MPTCP.
    Tcp,
    /// UDP and UDP-Lite.
    Udp,
}

impl Transport {
    /// The table of a protocol; `None` for one that has another rule, or no ports.
    #[must_use]
    pub const fn of(proto: Proto) -> Option<Self> {
        match proto {
            Proto::Tcp | Proto::Mptcp => Some(Self::Tcp),
            Proto::Udp | Proto::Udplite => Some(Self::Udp),
            Proto::Sctp
            | Proto::Icmp
            | Proto::Raw
            | Proto::Unix
            | Proto::Other
            | Proto::Unknown => None,
        }
    }
}

/// Which port was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Port {
    /// This one.
    Explicit,
    /// Any: the kernel looks for one that no overlapping socket has.
    Any,
    /// Any, in the second search that `ip_autobind_reuse` adds for TCP.
    AnyReuse,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// Whose table it is.
    pub transport: Transport,
    /// Which port.
    pub port: Port,
}

/// What the rule says of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ruling {
    /// The existing socket does not conflict.
    Allowed(Clause),
    /// It is.
    Conflict(Clause),
    /// That hangs on a uid that could not be read.
    Undecided,
}

impl Ruling {
    /// Whether they conflict; `None` when that is undecided.
    #[must_use]
    pub const fn conflicts(self) -> Option<bool> {
        match self {
            Self::Allowed(_) => Some(false),
            Self::Conflict(_) => Some(true),
            Self::Undecided => None,
        }
    }

    /// The clause that decided.
    #[must_use]
    pub const fn clause(self) -> Clause {
        match self {
            Self::Allowed(clause) | Self::Conflict(clause) => clause,
            Self::Undecided => Clause::Undecided,
        }
    }
}

/// Whether `existing` keeps `binder` from its port.
///
/// For `listen()` the binder's state is [`State::Listen`]: the kernel runs the same check again, and only a shortcut
/// is lost.
#[must_use]
pub fn conflict(call: Call, binder: &Side, existing: &Side) -> Ruling {
    if binder.device != 0 && existing.device != 0 && binder.device != existing.device {
        return Ruling::Allowed(Clause::DevicesDiffer);
    }
    if !overlap(binder, existing) {
        return Ruling::Allowed(Clause::AddressesDiffer);
    }
    match (call.transport, call.port) {
        (Transport::Tcp, Port::Explicit) => tcp(binder, existing),
        (Transport::Tcp, Port::Any) => Ruling::Conflict(Clause::PortNotFree),
        (Transport::Tcp, Port::AnyReuse) => tcp_any_reuse(binder, existing),
        (Transport::Udp, Port::Explicit) => udp(binder, existing),
        (Transport::Udp, Port::Any | Port::AnyReuse) => match udp(binder, existing) {
            Ruling::Conflict(_) => Ruling::Conflict(Clause::PortNotFree),
            other => other,
        },
    }
}

/// `sk_reuse` that `TCP_REPAIR` sets (`SK_FORCE_REUSE`).
const FORCED: u8 = 2;

fn tcp(binder: &Side, existing: &Side) -> Ruling {
    if binder.reuse == FORCED {
        return Ruling::Allowed(Clause::ForcedReuse);
    }
    let listens = existing.state == State::Listen;
    if !listens && binder.reuse != 0 && existing.reuse != 0 {
        return Ruling::Allowed(Clause::BothReuseAddr);
    }
    match share(binder, existing, existing.state == State::TimeWait) {
        Share::Yes => Ruling::Allowed(Clause::BothReusePort),
        Share::UsersDiffer => Ruling::Conflict(Clause::UsersDiffer),
        Share::HasGroup => Ruling::Conflict(Clause::BinderHasReusePortGroup),
        Share::Unknown => Ruling::Undecided,
        Share::NotBoth if listens => Ruling::Conflict(Clause::Listening),
        Share::NotBoth => Ruling::Conflict(lacking_reuse(binder, existing)),
    }
}

/// The second search shares a port by `SO_REUSEADDR`, but leaves ports alone that `SO_REUSEPORT` could share.
fn tcp_any_reuse(binder: &Side, existing: &Side) -> Ruling {
    if existing.state == State::Listen || binder.reuse == 0 || existing.reuse == 0 {
        return Ruling::Conflict(Clause::PortNotFree);
    }
    match share(binder, existing, existing.state == State::TimeWait) {
        Share::Yes => Ruling::Conflict(Clause::PortNotFree),
        Share::Unknown => Ruling::Undecided,
        Share::NotBoth | Share::UsersDiffer | Share::HasGroup => {
            Ruling::Allowed(Clause::BothReuseAddr)
        }
    }
}

/// UDP does not ask for the state: `SO_REUSEADDR` on both always suffices.
fn udp(binder: &Side, existing: &Side) -> Ruling {
    if binder.reuse != 0 && existing.reuse != 0 {
        return Ruling::Allowed(Clause::BothReuseAddr);
    }
    match share(binder, existing, false) {
        Share::Yes => Ruling::Allowed(Clause::BothReusePort),
        Share::UsersDiffer => Ruling::Conflict(Clause::UsersDiffer),
        Share::HasGroup => Ruling::Conflict(Clause::BinderHasReusePortGroup),
        Share::Unknown => Ruling::Undecided,
        Share::NotBoth => Ruling::Conflict(lacking_reuse(binder, existing)),
    }
}

/// Which of the two lacks `SO_REUSEADDR`, where it is not set on both.
const fn lacking_reuse(binder: &Side, existing: &Side) -> Clause {
    match (binder.reuse != 0, existing.reuse != 0) {
        (true, _) => Clause::OtherLacksReuseAddr,
        (false, true) => Clause::BinderLacksReuseAddr,
        (false, false) => Clause::NeitherReuseAddr,
    }
}

/// Whether `SO_REUSEPORT` lets the two share.
enum Share {
    Yes,
    NotBoth,
    UsersDiffer,
    HasGroup,
    Unknown,
}

fn share(binder: &Side, existing: &Side, any_user: bool) -> Share {
    if !binder.reuseport || !existing.reuseport {
        return Share::NotBoth;
    }
    let same_user = if any_user {
        Some(true)
    } else {
        binder.uid.zip(existing.uid).map(|(a, b)| a == b)
    };
    match (same_user, binder.reuseport_group) {
        (Some(false), _) => Share::UsersDiffer,
        (_, true) => Share::HasGroup,
        (Some(true), false) => Share::Yes,
        (None, false) => Share::Unknown,
    }
}

/// Where a socket is bound, as the kernel tells addresses apart.
enum Place {
    V4(Ipv4Addr),
    /// An IPv4 address of an IPv6 socket.
    Mapped(Ipv4Addr),
    V6Any,
    V6(Ipv6Addr),
}

impl Place {
    fn of(side: &Side) -> Self {
        match side.addr {
            IpAddr::V4(addr) => Self::V4(addr),
            IpAddr::V6(addr) if addr.is_unspecified() => Self::V6Any,
            IpAddr::V6(addr) => addr.to_ipv4_mapped().map_or(Self::V6(addr), Self::Mapped),
        }
    }
}

/// Whether the addresses overlap (`inet_rcv_saddr_equal` with wildcards matching).
///
/// Symmetric, but for one thing: an IPv6 connection whose socket is not `IPV6_V6ONLY` (accepted by a dual-stack
/// listener, or outgoing) counts against the IPv4 wildcard. The kernel fills the IPv4 address of such a socket with a
/// dummy that the wildcard matches. A socket that was bound to an IPv6 address is `IPV6_V6ONLY` by that.
#[must_use]
pub fn overlap(binder: &Side, existing: &Side) -> bool {
    use Place::{Mapped, V4, V6, V6Any};
    match (Place::of(binder), Place::of(existing)) {
        (V4(a) | Mapped(a), V4(b) | Mapped(b)) => {
            a == b || a.is_unspecified() || b.is_unspecified()
        }
        (V4(_) | Mapped(_), V6Any) => !existing.v6only,
        (V6Any, V4(_) | Mapped(_)) => !binder.v6only,
        (V4(a), V6(_)) => a.is_unspecified() && !existing.v6only,
        (Mapped(_), V6(_)) | (V6(_), V4(_) | Mapped(_)) => false,
        (V6Any, V6Any | V6(_)) | (V6(_), V6Any) => true,
        (V6(a), V6(b)) => a == b,
    }
}

#[cfg(test)]
mod tests;
