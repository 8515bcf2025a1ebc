//! What is already known of a socket that a record tells of.

use serde::Deserialize;

use super::{Id, Key};
use crate::{
    gather::Gather,
    line::Who,
    names::{Actor, Name},
};
use portwatch_core::model::process::Source;

impl Gather {
    /// What is open of a socket. The kernel gives it a cookie when somebody first asks for one: until then it goes by its
    /// addresses and its process, which may have it more than once.
    pub(super) fn known(&self, key: Key, local: Name, remote: Name, who: Actor) -> Option<Key> {
        if self.open.contains_key(&key) {
            return Some(key);
        }
        let by_addresses = Key {
            id: Id::Addresses(local, remote),
            ..key
        };
        let open = self.open.get(&by_addresses)?;
        let pid = |who| self.names.process(who).map(|process| process.pid);
        let same = match (pid(open.hold.who), pid(who)) {
            (Some(known), Some(named)) => known == named,
            _ => true,
        };
        same.then_some(by_addresses)
    }

    /// From when on a socket is known to have been there, if nothing tells when it came: sockets that were found at the
    /// start of tracing are older than that, of all others no more is known than that they are there now.
    pub(super) fn first_known(&self, owner: Option<Who<'_>>, time: i64) -> i64 {
        #[derive(Deserialize)]
        struct Owner {
            source: Source,
        }

        let source = owner.and_then(|who| serde_json::from_str::<Owner>(who.0).ok());
        match source.map(|owner| owner.source) {
            Some(Source::Snapshot) => self.run.started.min(time),
            _ => time,
        }
    }
}
