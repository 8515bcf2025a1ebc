//! What portwatch must record of a watched port, beside attempts.

use super::protocol;
use super::{Lab, Process};
use crate::expect::truth::{Change, Kind};

/// A change that the script says has come: put together word by word.
#[derive(Clone, Debug)]
pub struct Changed(Change);

impl Changed {
    /// A socket has got the port, in this way.
    #[must_use]
    pub fn taken(port: u16, how: &str) -> Self {
        Self::port("taken", port).how(how)
    }

    /// A socket has given it back, and this is what is left of it.
    #[must_use]
    pub fn released(port: u16, reason: &str) -> Self {
        Self::port("released", port).reason(reason)
    }

    /// A `TIME_WAIT` of this kind has begun.
    #[must_use]
    pub fn enter(port: u16, substate: &str) -> Self {
        Self::time_wait("enter", port).substate(substate)
    }

    /// Its timer was set again, and it is of this kind.
    #[must_use]
    pub fn rearm(port: u16, substate: &str) -> Self {
        Self::time_wait("rearm", port).substate(substate)
    }

    /// It is over, for this reason, after so many milliseconds (at least, at most; timers may be late).
    #[must_use]
    pub fn leave(port: u16, reason: &str, lasted_ms: (u64, u64)) -> Self {
        let mut changed = Self::time_wait("leave", port)
            .substate("time_wait")
            .reason(reason);
        changed.0.lasted_ms = Some(lasted_ms);
        changed
    }

    fn port(action: &str, port: u16) -> Self {
        Self::new(Kind::Port, action, port)
    }

    fn time_wait(action: &str, port: u16) -> Self {
        Self::new(Kind::TimeWait, action, port)
    }

    fn new(kind: Kind, action: &str, port: u16) -> Self {
        Self(Change {
            kind,
            action: action.into(),
            proto: "tcp".into(),
            port,
            netns: 0,
            peer: None,
            owner: None,
            how: None,
            substate: None,
            reason: None,
            reused_by: None,
            lasted_ms: None,
            connected: false,
            only_bound: false,
            brief: false,
        })
    }

    /// Of a socket of this kind, and not of TCP's.
    #[must_use]
    pub fn of(mut self, kind: protocol::Kind) -> Self {
        self.0.proto = kind.proto().into();
        self
    }

    /// The socket got the port in this way.
    #[must_use]
    pub fn how(mut self, how: &str) -> Self {
        self.0.how = Some(how.into());
        self
    }

    /// Of a connection with this port at its other end.
    #[must_use]
    pub fn peer(mut self, port: u16) -> Self {
        self.0.peer = Some(port);
        self.0.connected = true;
        self
    }

    /// A new connection took its place, in this way.
    #[must_use]
    pub fn reused_by(mut self, how: &str) -> Self {
        self.0.reused_by = Some(how.into());
        self
    }

    /// The socket was bound, and no more.
    #[must_use]
    pub fn only_bound(mut self) -> Self {
        self.0.only_bound = true;
        self
    }

    /// It comes so soon after the beginning that only events show it: the timer, looked at later, is about the same.
    #[must_use]
    pub fn brief(mut self) -> Self {
        self.0.brief = true;
        self
    }

    fn substate(mut self, substate: &str) -> Self {
        self.0.substate = Some(substate.into());
        self
    }

    fn reason(mut self, reason: &str) -> Self {
        self.0.reason = Some(reason.into());
        self
    }
}

impl Lab {
    /// This has come of a watched port, in a process's network namespace; the socket is nobody's.
    pub fn changed(&self, process: &Process<'_>, changed: Changed) {
        let netns = process.identity().netns;
        let change = Change { netns, ..changed.0 };
        self.changes.borrow_mut().push(change);
    }

    /// The same, and the socket is, or was, that process's.
    pub fn changed_by(&self, process: &Process<'_>, mut changed: Changed) {
        changed.0.owner = Some(process.pid());
        self.changed(process, changed);
    }
}
