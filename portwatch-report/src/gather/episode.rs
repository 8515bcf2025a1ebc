//! Episodes, as their own records tell them.

use super::{
    super::{
        lane::{Place, Space},
        line::Episode,
        names::Name,
    },
    Gather,
};
use crate::episodes::{self, Spell};
use portwatch_core::model::socket::Proto;

impl Gather {
    pub(super) fn episode(&mut self, episode: &Episode<'_>) {
        let host = self.run.host;
        let addr = episode
            .addr
            .as_ref()
            .map_or(Name::NONE, |addr| self.names.name(addr.as_str()));
        let unix = episode.proto == Proto::Unix;
        let place = Place {
            host,
            proto: Space::from(episode.proto),
            port: episode.port.unwrap_or(0),
            netns: episode.netns.unwrap_or(0),
            path: if unix { addr } else { Name::NONE },
        };
        let since = self.wanted.since.unwrap_or(i64::MIN);
        let until = self.wanted.until.unwrap_or(i64::MAX);
        let by_cause = self.wanted.causes.is_empty()
            || episode
                .by
                .iter()
                .any(|spell| self.wanted.cause(spell.cause));
        let wanted = self.wanted.port(place.port)
            && by_cause
            && episode.last >= since
            && episode.first <= until;
        let known = wanted.then(|| {
            let mut by = Vec::new();
            for spell in &episode.by {
                let who = self.actor(spell.owner);
                if let Some(blocker) = self.blocker(who) {
                    self.episodes.blame(blocker, place.port, None, spell.ms);
                }
                by.push(Spell {
                    cause: spell.cause,
                    who,
                    ms: spell.ms,
                    attempts: spell.attempts,
                });
            }
            episodes::Episode {
                place,
                addr,
                who: self.actor(Some(episode.process)),
                first: episode.first,
                last: episode.last,
                attempts: episode.attempts,
                processes: episode.processes,
                outcome: Some(episode.outcome),
                blocked_ms: episode.blocked_ms,
                by,
                freed: episode
                    .freed_by
                    .as_ref()
                    .map(|freed| (freed.how, freed.time.0, self.actor(freed.owner))),
            }
        });
        self.episodes.told(self.run.number, episode.id, known);
    }
}
