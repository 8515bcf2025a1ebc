//! Sockets that have just given their ports back.

use alloc::collections::VecDeque;
use core::num::NonZeroUsize;

use lru::LruCache;
use portwatch_common::event::owner::Owner;

use crate::{model::socket::Address, verdict::rule::Transport};

/// Ports whose releases are remembered.
pub const PORTS: usize = 256;
/// Releases of a port that are remembered; about 200 bytes each.
pub const OF_A_PORT: usize = 32;

/// A port of a network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Inode of the namespace.
    pub netns: u32,
    /// Which table of ports.
    pub transport: Transport,
    /// The port.
    pub port: u16,
}

/// A socket, by all that the kernel names it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its address in the kernel, which is given to another socket once this one is gone.
    pub sk: u64,
    /// Its inode; `None` without a `struct socket`.
    pub inode: Option<u64>,
    /// Its cookie; `None` while the kernel has given it none.
    pub cookie: Option<u64>,
    /// Where it is bound.
    pub local: Address,
    /// Where it is connected.
    pub remote: Option<Address>,
}

impl Named {
    /// True if both are one socket, and `self` was seen to have its port later than `other`.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self.cookie.zip(other.cookie), self.inode.zip(other.inode)) {
            (Some((a, b)), _) | (None, Some((a, b))) => a == b,
            (None, None) => self.sk == other.sk && self.local == other.local,
        }
    }
}

/// A socket that gave its port back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// When: `CLOCK_BOOTTIME`, ns.
    pub boot_ns: u64,
    /// The socket.
    pub socket: Named,
    /// `IPV6_V6ONLY`.
    pub v6only: bool,
    /// Index of the interface that it is bound to, 0 for none.
    pub device: u32,
    /// It was a `TIME_WAIT` mini-socket.
    pub time_wait: bool,
    /// It was noticed some time after it happened.
    pub noticed_late: bool,
    /// Its owner; all zero when that was not recorded.
    pub owner: Owner,
}

/// Releases of late.
#[derive(Debug)]
pub struct Releases {
    ports: LruCache<Place, VecDeque<Release>>,
}

impl Default for Releases {
    fn default() -> Self {
        let capacity = NonZeroUsize::new(PORTS).unwrap_or(NonZeroUsize::MIN);
        Self {
            ports: LruCache::new(capacity),
        }
    }
}

impl Releases {
    /// A socket gave its port back.
    pub fn insert(&mut self, place: Place, release: Release) {
        let of_port = self.ports.get_or_insert_mut(place, VecDeque::new);
        if of_port.len() >= OF_A_PORT {
            of_port.pop_front();
        }
        of_port.push_back(release);
    }

    /// Those of a port that came from `from` to `to` (`CLOCK_BOOTTIME`, ns), the first to come first.
    pub fn between(&self, place: &Place, from: u64, to: u64) -> impl Iterator<Item = &Release> {
        let of_port = self.ports.peek(place).into_iter().flatten();
        of_port.filter(move |release| (from..=to).contains(&release.boot_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    const PLACE: Place = Place {
        netns: 1,
        transport: Transport::Tcp,
        port: 8080,
    };

    fn named(sk: u64, inode: Option<u64>, cookie: Option<u64>) -> Named {
        Named {
            sk,
            inode,
            cookie,
            local: Address {
                addr: [127, 0, 0, 1].into(),
                port: 8080,
            },
            remote: None,
        }
    }

    fn release(boot_ns: u64) -> Release {
        Release {
            boot_ns,
            socket: named(boot_ns, None, None),
            v6only: false,
            device: 0,
            time_wait: false,
            noticed_late: false,
            owner: Owner::NONE,
        }
    }

    #[test]
    fn a_socket_is_known_by_what_both_know_of_it() {
        let one = named(1, Some(2), Some(3));
        assert!(one.is_same(&named(1, None, Some(3))));
        assert!(one.is_same(&named(9, None, Some(3))));
        assert!(!one.is_same(&named(1, Some(2), Some(4))));
        assert!(one.is_same(&named(9, Some(2), None)));
        assert!(!one.is_same(&named(1, Some(9), None)));
        assert!(one.is_same(&named(1, None, None)));
        assert!(!one.is_same(&named(9, None, None)));
    }

    #[test]
    fn the_latest_of_each_port_are_kept() {
        let mut releases = Releases::default();
        for boot_ns in 0..100 {
            releases.insert(PLACE, release(boot_ns));
        }
        let times = |from, to| -> Vec<u64> {
            let found = releases.between(&PLACE, from, to);
            found.map(|release| release.boot_ns).collect()
        };
        assert_eq!(times(0, 69), [68, 69]);
        assert_eq!(times(97, 200), [97, 98, 99]);
        let other = Place {
            transport: Transport::Udp,
            ..PLACE
        };
        assert_eq!(releases.between(&other, 0, 200).count(), 0);
    }

    #[test]
    fn ports_are_bounded() {
        let mut releases = Releases::default();
        for port in 0..1000 {
            releases.insert(Place { port, ..PLACE }, release(1));
        }
        assert_eq!(releases.ports.len(), PORTS);
    }
}
