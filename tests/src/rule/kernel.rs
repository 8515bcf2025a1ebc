//! What kernels do differently. Each is found out by trying, never from a version.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
};

use anyhow::Result;
use portwatch_core::{model::socket::Side, verdict::rule::Transport};

use super::{
    bucket::Bucket,
    known::crowd,
    namespace::Namespace,
    pair::{Ask, End, Fate, Life, OTHER_UID, Pair, Plan},
    socket::{self, Answer},
    stage::stage,
};

/// The kernel that this runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "facts that are independent of each other"
)]
pub struct Kernel {
    /// It has IPv6.
    pub ipv6: bool,
    /// A bucket remembers that its first socket had `SO_REUSEADDR` when it was bound (before 6.8).
    pub first_is_remembered: bool,
    /// A connection that no process has open keeps its uid (from 6.18 on). Else it counts as root's.
    pub orphans_keep_uid: bool,
    /// A UDP wildcard does not meet a specific address that has more than ten sockets.
    pub crowds_hide: bool,
    /// TCP sockets with an IPv4-mapped address do not meet `::ffff:0.0.0.0` (some before 6.8).
    pub overlooks_mapped_wildcard: bool,
}

impl Kernel {
    pub(super) fn probe(namespace: &mut Namespace) -> Result<Self> {
        let mut kernel = Self {
            ipv6: namespace.ipv6,
            first_is_remembered: first_is_remembered(namespace)?,
            orphans_keep_uid: false,
            crowds_hide: crowds_hide(namespace)?,
            overlooks_mapped_wildcard: overlooks_mapped_wildcard(namespace)?,
        };
        kernel.orphans_keep_uid = orphans_keep_uid(namespace, &kernel)?;
        Ok(kernel)
    }

    /// Whether this kernel lets a socket bind because it does not find an existing one.
    pub(super) fn overlooks(&self, transport: Transport, binder: &Side, existing: &Side) -> bool {
        let mapped = |side: &Side| match side.addr {
            IpAddr::V6(addr) => addr.to_ipv4_mapped(),
            IpAddr::V4(_) => None,
        };
        self.overlooks_mapped_wildcard
            && transport == Transport::Tcp
            && mapped(binder).is_some_and(|addr| !addr.is_unspecified())
            && mapped(existing).is_some_and(|addr| addr.is_unspecified())
    }

    pub(super) const fn empty_bucket(&self) -> Bucket {
        Bucket::empty(self.first_is_remembered)
    }

    pub(super) const fn connected_bucket(&self) -> Bucket {
        Bucket::connected(self.first_is_remembered)
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = |is_so: bool| if is_so { "" } else { "no " };
        write!(
            f,
            "{}IPv6, {}memory of a bucket's first socket, {}uid of closed sockets, {}crowd that hides, {}blindness for ::ffff:0.0.0.0",
            not(self.ipv6),
            not(self.first_is_remembered),
            not(self.orphans_keep_uid),
            not(self.crowds_hide),
            not(self.overlooks_mapped_wildcard)
        )
    }
}

/// The existing socket clears the option, the binder has it.
fn first_is_remembered(namespace: &mut Namespace) -> Result<bool> {
    let port = namespace.port()?;
    let plan = Plan {
        reuse: 1,
        ..Plan::at(Ipv4Addr::LOCALHOST.into())
    };
    let existing = socket::open(Transport::Tcp, &plan)?;
    socket::claim(&existing, plan.addr, port)?;
    socket::set_reuseaddr(&existing, false)?;
    let binder = socket::open(Transport::Tcp, &plan)?;
    Ok(socket::bind(&binder, plan.addr, port)? == Answer::Granted)
}

/// The existing socket has the wildcard, the binder asks for another address.
fn overlooks_mapped_wildcard(namespace: &mut Namespace) -> Result<bool> {
    if !namespace.ipv6 {
        return Ok(false);
    }
    let port = namespace.port()?;
    let plan = |addr: Ipv4Addr| Plan::at(addr.to_ipv6_mapped().into());
    let (existing, binder) = (plan(Ipv4Addr::UNSPECIFIED), plan(Ipv4Addr::LOCALHOST));
    let wildcard = socket::open(Transport::Tcp, &existing)?;
    socket::claim(&wildcard, existing.addr, port)?;
    let socket = socket::open(Transport::Tcp, &binder)?;
    Ok(socket::bind(&socket, binder.addr, port)? == Answer::Granted)
}

/// The wildcard is asked for.
fn crowds_hide(namespace: &mut Namespace) -> Result<bool> {
    let port = namespace.port()?;
    let plan = Plan {
        reuse: 1,
        ..Plan::at(Ipv4Addr::LOCALHOST.into())
    };
    let _crowd = crowd(&plan, port)?;
    let binder = Plan::at(plan.wildcard());
    let socket = socket::open(Transport::Udp, &binder)?;
    Ok(socket::bind(&socket, binder.addr, port)? == Answer::Granted)
}

/// Root wants to share the port with a connection that the other user has closed.
fn orphans_keep_uid(namespace: &mut Namespace, kernel: &Kernel) -> Result<bool> {
    let port = namespace.port()?;
    let binder = Plan {
        reuseport: true,
        ..Plan::at(Ipv4Addr::LOCALHOST.into())
    };
    let pair = Pair {
        transport: Transport::Tcp,
        existing: Plan {
            uid: OTHER_UID,
            ..binder
        },
        life: Life::Connection(End::Accepted, Fate::FinWait1),
        over_ipv4: true,
        change: None,
        binder,
        ask: Ask::Bind,
    };
    let _existing = stage(&pair, port, namespace, kernel)?;
    let binder = socket::open(Transport::Tcp, &binder)?;
    Ok(socket::bind(&binder, pair.binder.addr, port)? == Answer::Refused)
}
