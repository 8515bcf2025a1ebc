//! `TIME_WAIT`s of watched ports, for as long as they last.

use crate::prelude::*;
use alloc::collections::BTreeMap;

use hashbrown::HashMap;

use portwatch_common::event::{owner::Owner, time_wait::Recheck};

use crate::model::socket::{Address, State};

/// `TIME_WAIT`s that are remembered; about 300 bytes each.
pub const CAPACITY: usize = 65_536;

/// How long after its time one is looked at, whose end nobody will report: long enough that what ended it has been read.
const SLACK_NS: u64 = 500_000_000;
/// The same where the kernel side tells the end: it was lost if it has not come by then. The timer wheel fires up to 5.1 s
/// late (a timer of 60 s at 100 Hz).
const PATIENCE_NS: u64 = 30_000_000_000;

/// The two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Connection {
    netns: u32,
    local: Address,
    remote: Address,
}

impl Connection {
    /// In a network namespace. An IPv4 address is the same in both families, as it is for the kernel.
    #[must_use]
    pub const fn new(netns: u32, local: Address, remote: Address) -> Self {
        const fn canonical(address: Address) -> Address {
            Address {
                addr: address.addr.to_canonical(),
                port: address.port,
            }
        }
        Self {
            netns,
            local: canonical(local),
            remote: canonical(remote),
        }
    }
}

/// A `TIME_WAIT` that lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// When it began: `CLOCK_BOOTTIME`, ns.
    pub since_boot_ns: u64,
    /// When its timer is due, as far as was seen: `CLOCK_BOOTTIME`, ns.
    pub due_boot_ns: u64,
    /// The port that it keeps.
    pub local: Address,
    /// Whom it was connected to.
    pub remote: Address,
    /// Inode of its network namespace.
    pub netns: u32,
    /// `time_wait`, or `fin_wait2` while it waits for the peer's FIN.
    pub substate: Option<State>,
    /// Who left it; all zero when that was not recorded.
    pub owner: Owner,
    /// How to look it up again.
    pub recheck: Recheck,
    /// The kernel side tells what becomes of it.
    pub told: bool,
}

impl Live {
    const fn look_boot_ns(&self) -> u64 {
        let slack = if self.told { PATIENCE_NS } else { SLACK_NS };
        self.due_boot_ns.saturating_add(slack)
    }
}

/// When to look at one (`CLOCK_BOOTTIME`, ns), and a number that makes it the only one of that time.
type Look = (u64, u64);

/// `TIME_WAIT`s that last.
#[derive(Debug)]
pub struct TimeWaits {
    live: HashMap<Connection, (Live, Look)>,
    looks: BTreeMap<Look, Connection>,
    looks_made: u64,
    capacity: usize,
    evicted: u64,
}

impl Default for TimeWaits {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl TimeWaits {
    /// Remembers so many.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            live: HashMap::new(),
            looks: BTreeMap::new(),
            looks_made: 0,
            capacity,
            evicted: 0,
        }
    }

    /// One has begun. Gives the one that was known of that connection, whose end was not seen.
    pub fn insert(&mut self, connection: Connection, live: Live) -> Option<Live> {
        let before = self.remove(&connection);
        if self.live.len() >= self.capacity
            && let Some((_, soonest)) = self.looks.pop_first()
        {
            self.live.remove(&soonest);
            self.evicted += 1;
        }
        let look = self.plan(connection, live.look_boot_ns());
        self.live.insert(connection, (live, look));
        before
    }

    /// The one of a connection.
    #[must_use]
    pub fn get(&self, connection: &Connection) -> Option<&Live> {
        self.live.get(connection).map(|(live, _)| live)
    }

    /// One is over.
    pub fn remove(&mut self, connection: &Connection) -> Option<Live> {
        let (live, look) = self.live.remove(connection)?;
        self.looks.remove(&look);
        Some(live)
    }

    /// Its timer is due at another time.
    pub fn rearm(&mut self, connection: &Connection, due_boot_ns: u64, substate: Option<State>) {
        if let Some((live, _)) = self.live.get_mut(connection) {
            live.due_boot_ns = due_boot_ns;
            live.substate = substate;
            let look = live.look_boot_ns();
            self.look_again(connection, look);
        }
    }

    /// Looks at it again then, and not before.
    pub fn look_again(&mut self, connection: &Connection, boot_ns: u64) {
        let look = self.plan(*connection, boot_ns);
        if let Some((_, planned)) = self.live.get_mut(connection) {
            let before = core::mem::replace(planned, look);
            self.looks.remove(&before);
        } else {
            self.looks.remove(&look);
        }
    }

    /// Those that should be looked at by now, at most so many.
    #[must_use]
    pub fn to_look_at(&self, now_boot_ns: u64, most: usize) -> Vec<Connection> {
        self.looks
            .range(..=(now_boot_ns, u64::MAX))
            .take(most)
            .map(|(_, connection)| *connection)
            .collect()
    }

    /// Timers stood still for so long: the machine was suspended.
    pub fn postpone(&mut self, ns: u64) {
        self.looks.clear();
        for (connection, (live, look)) in &mut self.live {
            live.due_boot_ns = live.due_boot_ns.saturating_add(ns);
            look.0 = look.0.saturating_add(ns);
            self.looks.insert(*look, *connection);
        }
    }

    /// How many were dropped for room.
    #[must_use]
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    fn plan(&mut self, connection: Connection, boot_ns: u64) -> Look {
        let look = (boot_ns, self.looks_made);
        self.looks_made += 1;
        self.looks.insert(look, connection);
        look
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(addr: &str, port: u16) -> Address {
        Address {
            addr: addr.parse().unwrap(),
            port,
        }
    }

    fn connection(port: u16) -> Connection {
        Connection::new(1, address("127.0.0.1", 8080), address("127.0.0.1", port))
    }

    fn live(due_s: u64) -> Live {
        Live {
            since_boot_ns: 0,
            due_boot_ns: due_s * 1_000_000_000,
            local: address("127.0.0.1", 8080),
            remote: address("127.0.0.1", 40_000),
            netns: 1,
            substate: Some(State::TimeWait),
            owner: Owner::NONE,
            recheck: Recheck::default(),
            told: false,
        }
    }

    fn at(s: u64) -> u64 {
        s * 1_000_000_000
    }

    #[test]
    fn they_are_looked_at_when_they_are_due_and_in_that_order() {
        let mut all = TimeWaits::default();
        all.insert(connection(1), live(60));
        all.insert(connection(2), live(50));
        all.insert(
            connection(3),
            Live {
                told: true,
                ..live(40)
            },
        );
        assert_eq!(all.to_look_at(at(50), 9), []);
        assert_eq!(all.to_look_at(at(51), 9), [connection(2)]);
        assert_eq!(all.to_look_at(at(61), 1), [connection(2)]);
        assert_eq!(all.to_look_at(at(61), 9), [connection(2), connection(1)]);
        all.look_again(&connection(2), at(63));
        assert_eq!(all.to_look_at(at(62), 9), [connection(1)]);
        all.rearm(&connection(1), at(120), Some(State::TimeWait));
        all.remove(&connection(2));
        assert_eq!(all.to_look_at(at(69), 9), []);
        assert_eq!(all.to_look_at(at(71), 9), [connection(3)]);
        assert_eq!(all.to_look_at(at(121), 9), [connection(3), connection(1)]);
    }

    #[test]
    fn one_that_is_not_known_is_not_looked_at() {
        let mut all = TimeWaits::default();
        all.look_again(&connection(1), at(1));
        all.rearm(&connection(1), at(1), None);
        assert_eq!(all.to_look_at(u64::MAX, 9), []);
    }

    #[test]
    fn room_is_bounded_and_what_would_end_first_is_dropped_and_counted() {
        let mut all = TimeWaits::with_capacity(2);
        for (port, due) in [(1, 60), (2, 50), (3, 70)] {
            assert_eq!(all.insert(connection(port), live(due)), None);
        }
        assert_eq!(all.evicted(), 1);
        assert_eq!(all.get(&connection(2)), None);
        assert_eq!(all.insert(connection(1), live(90)), Some(live(60)));
        assert_eq!(all.evicted(), 1);
        assert_eq!(all.to_look_at(u64::MAX, 9), [connection(3), connection(1)]);
    }

    #[test]
    fn timers_stand_still_while_the_machine_sleeps() {
        let mut all = TimeWaits::default();
        all.insert(connection(1), live(60));
        all.postpone(at(100));
        assert_eq!(all.to_look_at(at(160), 9), []);
        assert_eq!(all.to_look_at(at(161), 9), [connection(1)]);
        assert_eq!(all.get(&connection(1)).unwrap().due_boot_ns, at(160));
    }

    #[test]
    fn a_mapped_address_is_the_address() {
        let mapped = Connection::new(
            1,
            address("::ffff:127.0.0.1", 8080),
            address("::ffff:127.0.0.1", 9),
        );
        assert_eq!(mapped, connection(9));
    }
}
