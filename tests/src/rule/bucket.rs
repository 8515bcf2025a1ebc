//! The kernel's shortcuts for TCP: what a bucket remembers of its sockets, so that not every pair is compared
//! (`inet_csk_get_port` and `inet_csk_update_fastreuse` of `net/ipv4/inet_connection_sock.c`).
//!
//! The rule knows nothing of them, because they only allow. To tell for each pair what the kernel does they have to be
//! known: an option that was cleared after `bind()` still counts for them.

use std::net::{IpAddr, Ipv4Addr};

use portwatch::model::socket::{Side, State};

use super::pair::is_specific_v6;

/// The bucket of one port.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    /// Its first socket is seen as the first. From 6.8 on the socket is linked before the kernel looks, so none is.
    sees_first: bool,
    is_empty: bool,
    /// `fastreuse`: all had `SO_REUSEADDR`.
    reuseaddr: bool,
    /// `fastreuseport`: the last one had `SO_REUSEPORT`.
    reuseport: Option<Last>,
}

/// The last socket with `SO_REUSEPORT`.
#[derive(Clone, Debug)]
struct Last {
    /// All others had it too, so the address does not matter (`FASTREUSEPORT_ANY`).
    any_address: bool,
    side: Side,
}

impl Bucket {
    pub(super) const fn empty(sees_first: bool) -> Self {
        Self {
            sees_first,
            is_empty: true,
            reuseaddr: false,
            reuseport: None,
        }
    }

    /// The bucket that `connect()` makes for the port that it picks.
    pub(super) const fn connected(sees_first: bool) -> Self {
        let mut bucket = Self::empty(sees_first);
        bucket.is_empty = false;
        bucket
    }

    /// Whether a socket gets in without being compared.
    pub(super) fn admits(&self, binder: &Side) -> bool {
        self.reuseaddr && lasting_reuse(binder) || self.admits_by_reuseport(binder)
    }

    /// `sk_reuseport_match`.
    fn admits_by_reuseport(&self, binder: &Side) -> bool {
        self.reuseport.as_ref().is_some_and(|last| {
            binder.reuseport
                && !binder.reuseport_group
                && binder.uid == last.side.uid
                && (last.any_address || covers(&last.side, binder))
        })
    }

    /// A socket has got the port. A listener gets it a second time.
    pub(super) fn take(&mut self, socket: &Side) {
        if self.is_empty && self.sees_first {
            self.reuseaddr = lasting_reuse(socket);
            self.reuseport = socket.reuseport.then(|| Last {
                any_address: true,
                side: socket.clone(),
            });
        } else {
            self.reuseaddr &= lasting_reuse(socket);
            if !socket.reuseport {
                self.reuseport = None;
            } else if !self.admits_by_reuseport(socket) {
                self.reuseport = Some(Last {
                    any_address: false,
                    side: socket.clone(),
                });
            }
        }
        self.is_empty = false;
    }
}

fn lasting_reuse(socket: &Side) -> bool {
    socket.reuse != 0 && socket.state != State::Listen
}

/// Whether the one's address is the other's, or a wildcard for it (`inet_rcv_saddr_equal` and its kin, where wildcards
/// match on one side).
fn covers(last: &Side, binder: &Side) -> bool {
    let v4 = |side: &Side| match side.addr.to_canonical() {
        IpAddr::V4(addr) => Some(addr),
        IpAddr::V6(_) => None,
    };
    match (last.addr, v4(last), v4(binder)) {
        (_, Some(last), Some(binder)) => last == binder || last.is_unspecified(),
        // The IPv4 address of `::` is 0.0.0.0.
        (IpAddr::V4(last), ..) => {
            last == Ipv4Addr::UNSPECIFIED && !binder.v6only && !is_specific_v6(binder.addr)
        }
        (IpAddr::V6(wildcard), _, Some(_)) => wildcard.is_unspecified() && !last.v6only,
        (IpAddr::V6(last), ..) => last.is_unspecified() || IpAddr::V6(last) == binder.addr,
    }
}
