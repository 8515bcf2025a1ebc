//! The kernel's shortcuts for TCP: what a bucket remembers of its sockets, so that not every pair is compared
//! (`inet_csk_get_port` and `inet_csk_update_fastreuse` of `net/ipv4/inet_connection_sock.c`).
//!
//! The rule knows nothing of them, because they only allow. To tell for each pair what the kernel does they have to be
//! known: an option that was cleared after `bind()` still counts for them.

use std::net::{IpAddr, Ipv4Addr};

use portwatch_core::model::socket::{Side, State};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::{
        pair::{OTHER_UID, Plan},
        stage::side,
    };

    /// `::!` is `IPV6_V6ONLY`.
    fn plan(addr: &str) -> Plan {
        Plan {
            v6only: addr.ends_with('!'),
            reuse: 1,
            reuseport: true,
            ..Plan::at(addr.trim_end_matches('!').parse().unwrap())
        }
    }

    fn reuseaddr(addr: &str) -> Side {
        Side {
            reuseport: false,
            ..side(&plan(addr), State::Bound)
        }
    }

    fn reuseport(addr: &str) -> Side {
        Side {
            reuse: 0,
            ..side(&plan(addr), State::Bound)
        }
    }

    #[test]
    fn reuseaddr_is_remembered_where_the_first_is_seen() {
        for sees_first in [false, true] {
            let mut bucket = Bucket::empty(sees_first);
            bucket.take(&reuseaddr("127.0.0.1"));
            assert_eq!(bucket.admits(&reuseaddr("127.0.0.1")), sees_first);
            assert!(!bucket.admits(&reuseport("127.0.0.1")));
            // listen() ends it.
            let listening = Side {
                state: State::Listen,
                ..reuseaddr("127.0.0.1")
            };
            assert!(!bucket.admits(&listening));
            bucket.take(&listening);
            assert!(!bucket.admits(&reuseaddr("127.0.0.1")));
        }
    }

    #[test]
    fn reuseport_is_remembered_with_the_user_and_the_address() {
        let mut bucket = Bucket::empty(false);
        bucket.take(&reuseport("127.0.0.1"));
        let same = reuseport("127.0.0.1");
        assert!(bucket.admits(&same));
        assert!(!bucket.admits(&reuseport("0.0.0.0")));
        let stranger = Side {
            uid: Some(OTHER_UID),
            ..same.clone()
        };
        assert!(!bucket.admits(&stranger));
        let with_group = Side {
            reuseport_group: true,
            ..same.clone()
        };
        assert!(!bucket.admits(&with_group));
        bucket.take(&stranger);
        assert!(!bucket.admits(&same));
        bucket.take(&reuseaddr("127.0.0.1"));
        assert!(!bucket.admits(&stranger));
    }

    #[test]
    fn the_first_with_reuseport_opens_the_port_for_every_address() {
        let mut bucket = Bucket::empty(true);
        bucket.take(&reuseport("127.0.0.1"));
        assert!(bucket.admits(&reuseport("0.0.0.0")));
        assert!(bucket.admits(&reuseport("::1")));
        let mut connected = Bucket::connected(true);
        connected.take(&reuseport("127.0.0.1"));
        assert!(!connected.admits(&reuseport("0.0.0.0")));
    }

    #[test]
    fn an_address_covers_another() {
        let table = [
            ("0.0.0.0", "127.0.0.1", true),
            ("0.0.0.0", "::ffff:127.0.0.1", true),
            ("0.0.0.0", "::", true),
            ("0.0.0.0", "::!", false),
            ("0.0.0.0", "::1", false),
            ("127.0.0.1", "127.0.0.2", false),
            ("127.0.0.1", "0.0.0.0", false),
            ("127.0.0.1", "::ffff:127.0.0.1", true),
            ("127.0.0.1", "::", false),
            ("::", "127.0.0.1", true),
            ("::!", "127.0.0.1", false),
            ("::", "::!", true),
            ("::!", "::1", true),
            ("::1", "::1", true),
            ("::1", "::", false),
            ("::1", "127.0.0.1", false),
            ("::ffff:0.0.0.0", "127.0.0.1", true),
            ("::ffff:0.0.0.0", "::", false),
        ];
        for (last, binder, expected) in table {
            let is_covered = covers(&reuseport(last), &reuseport(binder));
            assert_eq!(is_covered, expected, "{last} covers {binder}");
        }
    }
}
