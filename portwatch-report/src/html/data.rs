//! What the page draws, as JSON. Columns and not rows: a hundred thousand events have each name once.

#![expect(
    clippy::cast_precision_loss,
    reason = "a picture has a thousand columns: microseconds of a century are exact enough"
)]

mod columns;

use std::{
    cmp::Reverse,
    collections::HashMap,
    io::{self, Write},
};

use serde::Serialize;

use self::columns::{Clock, Holds, Marks, Used};
use super::super::{
    gather::Gather,
    lane::{self, Lane, Place},
    names::Name,
    words,
};
use crate::episodes::{Blame, Blocker, Episode};
use portwatch_core::{
    model::{episode::Outcome, freed::FreedHow, verdict::Cause},
    words::escape::escape,
};

/// Lanes on the page.
const LANES: usize = 2000;
/// Rows of a list on the page.
const ROWS: usize = 200;
/// Episodes on the page.
const EPISODES: usize = 2000;

/// Everything on the page. Times are milliseconds since `t0`.
#[derive(Serialize)]
pub(super) struct Data {
    /// Milliseconds since 1970.
    t0: i64,
    to: f64,
    version: &'static str,
    hosts: Vec<String>,
    records: u64,
    attempts: u64,
    failures: u64,
    unreadable: u64,
    /// How close together things were joined.
    grain: f64,
    /// Ports that are not on the page.
    more_lanes: usize,
    episodes: u64,
    causes: Vec<&'static str>,
    by_cause: Vec<(usize, u64)>,
    blockers: Vec<BlockerRow>,
    lanes: Vec<LaneData>,
    /// Times of tracing: host, first and last record, whether it was stopped.
    sessions: Vec<(u32, f64, f64, bool)>,
    /// What is missing: host, kind, not before, not after, how many.
    gaps: Vec<(u32, u32, f64, f64, u64)>,
    longest: Vec<EpisodeData>,
    strings: Vec<String>,
    actors: Vec<[u32; 7]>,
}

#[derive(Serialize)]
struct BlockerRow {
    comm: u32,
    home: u32,
    failures: u64,
    ms: u64,
    ports: Vec<u16>,
    more: bool,
    /// Whose attempts failed, what they belong to, and how many.
    whom: Vec<(u32, u32, u64)>,
}

#[derive(Serialize)]
struct EpisodeData {
    lane: Option<usize>,
    place: String,
    addr: u32,
    who: u32,
    first: f64,
    last: f64,
    ms: u64,
    attempts: u64,
    outcome: &'static str,
    by: Vec<(usize, u32, u64)>,
    /// What made the address free, when, and whose it was.
    freed: Option<(FreedHow, f64, u32)>,
}

#[derive(Default, Serialize)]
struct LaneData {
    proto: &'static str,
    port: u16,
    path: u32,
    host: u32,
    netns: u32,
    attempts: u64,
    failures: u64,
    cause: usize,
    thinned: bool,
    holds: Holds,
    marks: Marks,
}

impl Data {
    pub(super) fn new(found: &Gather) -> Self {
        let (first, last) = found.span.unwrap_or_default();
        // Whole milliseconds, so that the sum is exact.
        let t0 = first.div_euclid(1_000_000);
        let clock = Clock { t0 };
        let mut used = Used::new(found);
        let worth = |lane: &Lane| lane.failures > 0 || lane.items() > 0;
        let all: Vec<&(Place, Lane)> = found.lanes.iter().filter(|(_, lane)| worth(lane)).collect();
        let shown = &all[..all.len().min(LANES)];
        let lanes: Vec<LaneData> = shown
            .iter()
            .map(|(place, lane)| lane_data(&mut used, clock, place, lane))
            .collect();
        let places: HashMap<Place, usize> = shown
            .iter()
            .enumerate()
            .map(|(index, (place, _))| (*place, index))
            .collect();
        let mut episodes: Vec<&Episode> = found.episodes.longest();
        episodes.truncate(EPISODES);
        let episodes = episodes
            .into_iter()
            .map(|episode| episode_data(&mut used, clock, &places, episode))
            .collect();
        let blockers = found.episodes.worst_blockers().into_iter().take(ROWS);
        let blockers = blockers
            .map(|(key, blame)| blocker_row(&mut used, key, blame))
            .collect();
        let mut hosts: Vec<String> = Vec::new();
        for session in &found.sessions {
            let host = escape(found.names.text(session.host)).to_string();
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        let sessions = found
            .sessions
            .iter()
            .map(|session| {
                (
                    used.string(session.host),
                    clock.ms(session.start),
                    clock.ms(session.end),
                    session.stopped,
                )
            })
            .collect();
        let gaps = found
            .gaps
            .iter()
            .map(|gap| {
                (
                    used.string(gap.host),
                    used.string(gap.kind),
                    clock.ms(gap.from),
                    clock.ms(gap.to),
                    gap.count,
                )
            })
            .collect();
        Self {
            t0,
            to: clock.ms(last),
            version: env!("CARGO_PKG_VERSION"),
            hosts,
            records: found.records,
            attempts: found.total.attempts,
            failures: found.total.failures,
            unreadable: found.unreadable_lines,
            grain: found.grain() as f64 / 1e6,
            more_lanes: all.len() - shown.len(),
            episodes: found.episodes.count,
            causes: Cause::ALL.iter().map(|cause| cause.as_str()).collect(),
            by_cause: found
                .causes
                .worst()
                .into_iter()
                .map(|(cause, count)| (lane::number(cause), count.failures))
                .collect(),
            blockers,
            lanes,
            sessions,
            gaps,
            longest: episodes,
            strings: used.strings,
            actors: used.actors,
        }
    }

    pub(super) fn title(&self) -> String {
        match &self.hosts[..] {
            [] => "portwatch".to_owned(),
            [host] => format!("Ports of {host}"),
            hosts => format!("Ports of {} hosts", hosts.len()),
        }
    }

    /// As JSON that no HTML parser finds anything in.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer(Inert(out), self).map_err(io::Error::from)
    }
}

/// Spells `<` as an escape; in JSON it can only be within a string.
struct Inert<'a>(&'a mut dyn Write);

impl Write for Inert<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for (index, part) in bytes.split(|byte| *byte == b'<').enumerate() {
            if index > 0 {
                self.0.write_all(b"\\u003c")?;
            }
            self.0.write_all(part)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn lane_data(used: &mut Used<'_>, clock: Clock, place: &Place, lane: &Lane) -> LaneData {
    let mut data = LaneData {
        proto: place.proto.as_str(),
        port: place.port,
        path: used.string(place.path),
        host: used.string(place.host),
        netns: place.netns,
        attempts: lane.attempts,
        failures: lane.failures,
        cause: lane::number(lane.main_cause()),
        thinned: lane.thinned,
        ..LaneData::default()
    };
    for hold in &lane.holds {
        data.holds.push(used, clock, hold);
    }
    for mark in &lane.marks {
        data.marks.push(used, clock, mark);
    }
    data
}

fn blocker_row(used: &mut Used<'_>, key: Blocker, blame: &Blame) -> BlockerRow {
    let mut ports = blame.ports.clone();
    ports.sort_unstable();
    let mut whom = blame.whom.clone();
    whom.sort_by_key(|(key, failures)| (Reverse(*failures), *key));
    BlockerRow {
        comm: used.string(key.comm),
        home: used.string(home(key)),
        failures: blame.failures,
        ms: blame.ms,
        ports,
        more: blame.more_ports,
        whom: whom
            .into_iter()
            .map(|(key, failures)| (used.string(key.comm), used.string(home(key)), failures))
            .collect(),
    }
}

/// What a process belongs to: its container, else its unit.
fn home(key: Blocker) -> Name {
    if key.container == Name::NONE {
        key.unit
    } else {
        key.container
    }
}

fn episode_data(
    used: &mut Used<'_>,
    clock: Clock,
    places: &HashMap<Place, usize>,
    episode: &Episode,
) -> EpisodeData {
    EpisodeData {
        lane: places.get(&episode.place).copied(),
        place: words::place(used.found, &episode.place),
        addr: used.string(episode.addr),
        who: used.actor(episode.who),
        first: clock.ms(episode.first),
        last: clock.ms(episode.last),
        ms: episode.blocked_ms,
        attempts: episode.attempts,
        outcome: match episode.outcome {
            Some(outcome) => Outcome::as_str(outcome),
            None => "unknown",
        },
        by: episode
            .by
            .iter()
            .map(|spell| (lane::number(spell.cause), used.actor(spell.who), spell.ms))
            .collect(),
        freed: episode
            .freed
            .map(|(how, time, who)| (how, clock.ms(time), used.actor(who))),
    }
}
