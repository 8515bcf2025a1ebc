//! Unix sockets, which are known only as blockers.

use super::{Id, Key};
use crate::{
    gather::Gather,
    lane::{End, Hold, Kind},
    line::UnixSocket,
    names::{Actor, Name},
};

impl Gather {
    /// A socket had the name then. Nobody tells when it came, nor when it goes.
    pub(in crate::gather) fn had_name(
        &mut self,
        lane: u32,
        name: Name,
        socket: &UnixSocket<'_>,
        time: i64,
    ) {
        let key = Key {
            lane,
            time_wait: false,
            id: Id::Inode(socket.inode),
        };
        let (kind, who) = self.holder(socket);
        if self.open.contains_key(&key) {
            self.becomes(&key, kind, time);
        } else {
            let hold = Hold {
                kind,
                start: time,
                end: time,
                begun: false,
                ended: End::Open,
                who,
                local: name,
                remote: Name::NONE,
                count: 1,
                busy: 0,
            };
            self.begin(key, hold, i64::MAX);
        }
        if let Some(open) = self.open.get_mut(&key) {
            open.seen = Some(time);
        }
    }

    /// How it has its name, and who has it open.
    pub(in crate::gather) fn holder(&mut self, socket: &UnixSocket<'_>) -> (Kind, Actor) {
        let kind = if socket.listening {
            Kind::Listening
        } else {
            Kind::Bound
        };
        let holder = socket.holders.first().map(|holder| holder.process);
        (kind, self.actor(holder))
    }
}
