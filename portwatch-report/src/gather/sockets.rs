//! Who has a port from when to when, put together from what begins and ends it.

mod known;
mod unix;

use super::{
    super::{
        lane::{End, Hold, Kind, Place, Space},
        line::{At, Blocker, Seen},
        names::{Actor, Name},
    },
    Gather,
};
use portwatch_core::model::{port, socket::Proto, time_wait};

/// Sockets that have not given their port back, as far as was seen.
const OPEN: usize = 1 << 17;

/// A socket on a lane. A `TIME_WAIT` has the cookie of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    lane: u32,
    time_wait: bool,
    id: Id,
}

/// What tells a socket from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Id {
    Cookie(u64),
    /// Without a cookie, by its addresses: for a connection they are enough.
    Addresses(Name, Name),
    /// Of the unix family.
    Inode(u64),
}

/// A hold that has not ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    hold: Hold,
    /// Number of the run that saw it.
    run: u32,
    /// Of a `TIME_WAIT`: when its timer is due.
    due: i64,
    /// Of a connection or a unix socket that is known only as a blocker: when it was seen last. Nobody need tell
    /// its end.
    seen: Option<i64>,
}

impl Gather {
    pub(super) fn port(
        &mut self,
        time: i64,
        action: port::Action,
        proto: Proto,
        how: Option<port::How>,
        socket: &Seen<'_>,
    ) {
        let Some((lane, key, hold)) = self.seen(time, proto, Kind::Bound, socket) else {
            return;
        };
        match action {
            port::Action::Taken => {
                let kind = match how {
                    Some(port::How::Connect | port::How::Accept) => Kind::Connection,
                    None if socket.remote.is_some() => Kind::Connection,
                    Some(port::How::Bind) | None => Kind::Bound,
                };
                self.begin(key, Hold { kind, ..hold }, i64::MAX);
            }
            port::Action::Released => {
                if let Some(known) = self.known(key, hold.local, hold.remote, hold.who) {
                    self.end(&known, time, End::Seen);
                } else {
                    let kind = if socket.remote.is_some() {
                        Kind::Connection
                    } else {
                        Kind::Bound
                    };
                    let first = self.first_known(socket.owner, time);
                    self.keep(lane, Hold { kind, ..hold }.over(socket.since, first, time));
                }
            }
        }
    }

    pub(super) fn time_wait(
        &mut self,
        time: i64,
        action: time_wait::Action,
        expires_in_ms: Option<u64>,
        lasted_ms: Option<u64>,
        socket: &Seen<'_>,
    ) {
        let Some((lane, key, hold)) = self.seen(time, Proto::Tcp, Kind::TimeWait, socket) else {
            return;
        };
        let due = expires_in_ms.map_or(i64::MAX, |ms| after(time, ms));
        match action {
            time_wait::Action::Enter => self.begin(key, hold, due),
            time_wait::Action::Rearm => {
                if let Some(open) = self.open.get_mut(&key) {
                    open.due = due;
                } else {
                    let start = self.first_known(socket.owner, time);
                    let hold = Hold {
                        start,
                        begun: false,
                        ..hold
                    };
                    self.begin(key, hold, due);
                }
            }
            time_wait::Action::Leave if self.open.contains_key(&key) => {
                self.end(&key, time, End::Seen);
            }
            time_wait::Action::Leave => {
                let since = lasted_ms.map(|ms| time - (after(time, ms) - time));
                let first = self.first_known(socket.owner, time);
                self.keep(lane, hold.over(since, first, time));
            }
        }
    }

    /// A socket of the lane, bound to `local`, listens from now on.
    pub(super) fn listens(
        &mut self,
        lane: u32,
        cookie: Option<u64>,
        (local, who): (Name, Actor),
        time: i64,
    ) {
        let key = Key {
            lane,
            time_wait: false,
            id: cookie.map_or(Id::Addresses(local, Name::NONE), Id::Cookie),
        };
        if let Some(known) = self.known(key, local, Name::NONE, who) {
            self.becomes(&known, Kind::Listening, time);
        }
    }

    /// A socket blocked: so it had the port then.
    pub(super) fn stood(&mut self, lane: u32, blocker: &Blocker<'_>, time: i64) {
        let kind = Kind::of(blocker.state);
        let local = self.address(&blocker.local);
        let remote = blocker
            .remote
            .as_ref()
            .map_or(Name::NONE, |remote| self.address(remote));
        let id = blocker
            .cookie
            .map_or(Id::Addresses(local, remote), |cookie| Id::Cookie(cookie.0));
        let key = Key {
            lane,
            time_wait: kind == Kind::TimeWait,
            id,
        };
        let due = match blocker.expires_in_ms {
            Some(ms) => after(time, ms),
            None => i64::MAX,
        };
        let since = blocker.since.map(|since| since.0);
        let start = since.unwrap_or_else(|| self.first_known(blocker.owner, time));
        let hold = Hold {
            kind,
            start: start.min(time),
            end: time,
            begun: since.is_some(),
            ended: End::Open,
            who: self.owner(blocker),
            local,
            remote,
            count: 1,
            busy: 0,
        };
        let key = self.known(key, local, remote, hold.who).unwrap_or(key);
        if let Some(open) = self.open.get_mut(&key) {
            open.seen = open.seen.map(|_| time);
            if kind == Kind::TimeWait && blocker.expires_in_ms.is_some() {
                open.due = due;
            }
            self.becomes(&key, kind, time);
            return;
        }
        self.begin(key, hold, due);
        if let Some(open) = self.open.get_mut(&key) {
            open.seen = (kind == Kind::Connection).then_some(time);
        }
    }

    /// Of what a record of a socket tells: its lane, its key, and a hold that begins with it.
    fn seen(
        &mut self,
        time: i64,
        proto: Proto,
        kind: Kind,
        socket: &Seen<'_>,
    ) -> Option<(u32, Key, Hold)> {
        if !self.wanted.port(socket.local.port) {
            return None;
        }
        let place = Place {
            host: self.run.host,
            proto: Space::from(proto),
            port: socket.local.port,
            netns: socket.netns,
            path: Name::NONE,
        };
        let lane = self.lane(place)?;
        let local = self.address(&socket.local);
        let remote = socket
            .remote
            .as_ref()
            .map_or(Name::NONE, |remote| self.address(remote));
        let key = Key {
            lane,
            time_wait: kind == Kind::TimeWait,
            id: socket
                .cookie
                .map_or(Id::Addresses(local, remote), Id::Cookie),
        };
        let hold = Hold {
            kind,
            start: time,
            end: time,
            begun: true,
            ended: End::Open,
            who: self.actor(socket.owner),
            local,
            remote,
            count: 1,
            busy: 0,
        };
        Some((lane, key, hold))
    }

    fn begin(&mut self, key: Key, hold: Hold, due: i64) {
        // Its end was missed.
        self.end(&key, hold.start, End::Interrupted);
        if self.open.len() >= OPEN {
            self.dropped += 1;
            return;
        }
        let open = Open {
            hold,
            run: self.run.number,
            due,
            seen: None,
        };
        self.open.insert(key, open);
    }

    /// What it was before ends with it.
    fn becomes(&mut self, key: &Key, kind: Kind, time: i64) {
        let Some(open) = self.open.get_mut(key) else {
            return;
        };
        let before = open.hold;
        if before.kind == kind {
            return;
        }
        open.hold.kind = kind;
        if before.start < time {
            open.hold.start = time;
            open.hold.begun = true;
            self.keep(
                key.lane,
                Hold {
                    end: time,
                    ended: End::Seen,
                    busy: time - before.start,
                    ..before
                },
            );
        }
    }

    fn end(&mut self, key: &Key, time: i64, ended: End) {
        if let Some(open) = self.open.remove(key) {
            let hold = open.ending(time, ended);
            self.keep(key.lane, hold);
        }
    }

    /// Nothing more is known of the sockets that a run saw.
    pub(super) fn close_all(&mut self, run: u32, time: i64, at_end: bool) {
        let ended = if at_end { End::Open } else { End::Interrupted };
        let keys: Vec<Key> = self
            .open
            .iter()
            .filter(|(_, open)| open.run == run)
            .map(|(key, _)| *key)
            .collect();
        for key in keys {
            self.end(&key, time, ended);
        }
    }

    fn keep(&mut self, lane: u32, hold: Hold) {
        let hold = Hold {
            end: hold.end.max(hold.start),
            ..hold
        };
        self.lanes[lane as usize].1.holds.push(hold);
        self.added();
    }

    fn address(&mut self, at: &At<'_>) -> Name {
        self.address_of(at.addr.as_str(), at.port)
    }

    pub(super) fn address_of(&mut self, addr: &str, port: u16) -> Name {
        // Twice for each record: put together without the machinery of `format!`, in room that is there already.
        let text = &mut self.address;
        text.clear();
        if addr.contains(':') {
            text.push('[');
            text.push_str(addr);
            text.push(']');
        } else {
            text.push_str(addr);
        }
        text.push(':');
        text.push_str(itoa::Buffer::new().format(port));
        self.names.name(text)
    }
}

impl Hold {
    /// The same, until `end`, from its beginning; where that is not known, from when it is known first.
    fn over(self, since: Option<i64>, first_known: i64, end: i64) -> Self {
        let start = since.unwrap_or(first_known).min(end);
        Self {
            start,
            end,
            begun: since.is_some(),
            ended: End::Seen,
            busy: end - start,
            ..self
        }
    }
}

impl Open {
    fn ending(self, time: i64, ended: End) -> Hold {
        let (end, ended) = match self.seen {
            _ if ended == End::Seen => (time, ended),
            Some(seen) => (seen, End::Interrupted),
            None if self.due < time => (self.due, End::Due),
            None => (time, ended),
        };
        Hold {
            end: end.max(self.hold.start),
            ended,
            busy: (end - self.hold.start).max(0),
            ..self.hold
        }
    }
}

fn after(time: i64, ms: u64) -> i64 {
    let ns = i64::try_from(ms)
        .unwrap_or(i64::MAX)
        .saturating_mul(1_000_000);
    time.saturating_add(ns)
}
