//! Who got a watched port, and who gave it back.

use crate::prelude::*;
use portwatch_common::event::port::{self as raw, action, flag, how};

use super::{
    Assembler, Surroundings,
    attempt::{given, protocol},
    time_wait::{End, end},
};
use crate::{
    memory::time_waits::{Connection, Live},
    model::{
        number::Big,
        port::{Action, How, Port, Reason},
        record::Body,
        socket::Proto,
        time_wait::ReusedBy,
    },
};

impl<S: Surroundings> Assembler<S> {
    pub(super) fn port(&mut self, raw: &raw::Port) {
        let Some(local) = end(&raw.socket.local) else {
            return;
        };
        let socket = &raw.socket;
        let proto = protocol(socket);
        let remote = end(&socket.remote).filter(|remote| remote.port != 0);
        // Only TCP has these.
        let connection = remote
            .filter(|_| matches!(proto, Proto::Tcp | Proto::Mptcp))
            .map(|remote| Connection::new(socket.netns, local, remote));
        if matches!(raw.action, action::TAKEN | action::CONNECTED) {
            self.in_place_of(raw, connection.as_ref());
        }
        let Some(action) = action_of(raw.action) else {
            return;
        };
        if action == Action::Released {
            self.released(raw);
        }
        let (since, reason) = match action {
            Action::Taken => (None, None),
            Action::Released => (
                given(raw.owner.since_ns).map(|boot_ns| self.clock.rfc3339(boot_ns)),
                self.reason(raw, connection.as_ref()),
            ),
        };
        let body = Port {
            action,
            proto,
            local,
            remote,
            netns: socket.netns,
            how: how_of(raw.how),
            owner: self.owner_of(socket, &raw.owner),
            since,
            reason,
            cookie: given(socket.cookie).map(Big),
            inferred: raw.flags & flag::INFERRED != 0,
        };
        self.tell(raw.header.boot_ns, Body::Port(Box::new(body)));
    }

    /// A new connection between the ends of a `TIME_WAIT`: that is over.
    fn in_place_of(&mut self, raw: &raw::Port, connection: Option<&Connection>) {
        let by = match raw.how {
            how::CONNECT => ReusedBy::Connect,
            how::ACCEPT => ReusedBy::Syn,
            _ => return,
        };
        let Some(connection) = connection else {
            return;
        };
        let time_waits = &mut self.memory.time_waits;
        // Its own connection, told late, is no new one.
        if time_waits
            .get(connection)
            .is_none_or(|live| is_of(live, raw) == Some(true))
        {
            return;
        }
        let Some(live) = time_waits.remove(connection) else {
            return;
        };
        let at = raw.header.boot_ns;
        let end = if at < live.due_boot_ns {
            End::reused(by)
        } else {
            // Its time was over by then.
            End::UNSEEN
        };
        self.over(&live, at, end, Some(live.since_boot_ns), true);
    }

    /// A mini-socket enters the kernel's table before its connection gives the port back (`tcp_time_wait()`): one that is
    /// not known by now there is not, unless none is ever seen.
    fn reason(&self, raw: &raw::Port, connection: Option<&Connection>) -> Option<Reason> {
        let Some(connection) = connection else {
            return Some(Reason::Closed);
        };
        let live = self.memory.time_waits.get(connection);
        if live.is_some_and(|live| is_of(live, raw) != Some(false)) {
            Some(Reason::TimeWait)
        } else {
            self.sees_time_waits.then_some(Reason::Closed)
        }
    }
}

/// Whether a `TIME_WAIT` is that of a socket: it has its cookie. `None` where one of them has none.
fn is_of(live: &Live, raw: &raw::Port) -> Option<bool> {
    let cookie = given(live.recheck.cookie)?;
    Some(cookie == given(raw.socket.cookie)?)
}

const fn action_of(raw: u32) -> Option<Action> {
    match raw {
        action::TAKEN => Some(Action::Taken),
        action::RELEASED => Some(Action::Released),
        _ => None,
    }
}

const fn how_of(raw: u32) -> Option<How> {
    match raw {
        how::BIND => Some(How::Bind),
        how::CONNECT => Some(How::Connect),
        how::ACCEPT => Some(How::Accept),
        _ => None,
    }
}
