//! How the addresses of two sockets overlap, for the words and for the causes that are about addresses.

use core::net::{IpAddr, Ipv4Addr};

use crate::model::socket::Side;

/// Which of two overlapping addresses covers the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::verdict) enum Reach {
    /// They are the same.
    Same,
    /// The existing socket has the wildcard.
    Other(Families),
    /// The binder asked for the wildcard.
    Binder(Families),
    /// The existing socket is an IPv6 connection that the IPv4 wildcard counts as its own (see [`crate::verdict::rule`]).
    Ipv6Connection,
}

/// Whether an IPv6 wildcard covers an IPv4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::verdict) enum Families {
    /// No: both are of one family.
    Same,
    /// Yes.
    Differ,
}

impl Reach {
    /// Of two addresses that overlap.
    pub(in crate::verdict) fn of(binder: &Side, existing: &Side) -> Self {
        let wild = existing.addr.to_canonical().is_unspecified();
        match (ipv4(binder.addr), ipv4(existing.addr)) {
            (Some(a), Some(b)) if a == b => Self::Same,
            (None, None) if binder.addr == existing.addr => Self::Same,
            (Some(_), Some(_)) | (None, None) if wild => Self::Other(Families::Same),
            (Some(_), Some(_)) | (None, None) => Self::Binder(Families::Same),
            (Some(_), None) if wild => Self::Other(Families::Differ),
            (Some(_), None) => Self::Ipv6Connection,
            (None, Some(_)) => Self::Binder(Families::Differ),
        }
    }

    pub(in crate::verdict) const fn is_dual_stack(self) -> bool {
        matches!(
            self,
            Self::Other(Families::Differ) | Self::Binder(Families::Differ)
        )
    }

    pub(in crate::verdict) const fn is_wildcard(self) -> bool {
        matches!(
            self,
            Self::Other(Families::Same) | Self::Binder(Families::Same)
        )
    }
}

/// The IPv4 address that a socket uses, be it of an IPv6 socket.
pub(in crate::verdict) fn ipv4(addr: IpAddr) -> Option<Ipv4Addr> {
    match addr {
        IpAddr::V4(addr) => Some(addr),
        IpAddr::V6(addr) => addr.to_ipv4_mapped(),
    }
}
