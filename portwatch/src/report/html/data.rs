//! What the page draws, as JSON. Columns and not rows: a hundred thousand events have each name once.

#![expect(
    clippy::cast_precision_loss,
    reason = "a picture has a thousand columns: microseconds of a century are exact enough"
)]

use std::{
    collections::HashMap,
    io::{self, Write},
};

use serde::Serialize;

use super::super::{
    gather::Gather,
    lane::{self, Hold, Lane, Mark, Place},
    names::{Actor, Name},
    stories::Story,
    words,
};
use crate::{
    model::{episode::Outcome, verdict::Cause},
    output::escape::escape,
};

/// Lanes on the page.
const LANES: usize = 2000;
/// Rows of a list on the page.
const ROWS: usize = 200;
/// Episodes on the page.
const STORIES: usize = 2000;

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
    sessions: Vec<(u32, f64, f64)>,
    gaps: Vec<(u32, f64, f64, u64)>,
    stories: Vec<StoryData>,
    strings: Vec<String>,
    actors: Vec<[u32; 7]>,
}

#[derive(Serialize)]
struct BlockerRow {
    name: String,
    comm: u32,
    failures: u64,
    ms: u64,
    ports: Vec<u16>,
    more: bool,
}

#[derive(Serialize)]
struct StoryData {
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

/// Columns of [`Hold`].
#[derive(Default, Serialize)]
struct Holds {
    kind: Vec<u8>,
    start: Vec<f64>,
    end: Vec<f64>,
    begun: Vec<u8>,
    ended: Vec<u8>,
    who: Vec<u32>,
    local: Vec<u32>,
    remote: Vec<u32>,
    count: Vec<u32>,
    busy: Vec<f64>,
}

/// Columns of [`Mark`].
#[derive(Default, Serialize)]
struct Marks {
    time: Vec<f64>,
    last: Vec<f64>,
    failed: Vec<u8>,
    op: Vec<u8>,
    result: Vec<u32>,
    cause: Vec<usize>,
    who: Vec<u32>,
    addr: Vec<u32>,
    /// 4 for none.
    kind: Vec<u8>,
    blocker: Vec<u32>,
    summary: Vec<u32>,
    because: Vec<u32>,
    remedies: Vec<u32>,
    count: Vec<u32>,
}

/// Gives numbers to the strings and processes that the page uses.
struct Used<'a> {
    found: &'a Gather,
    strings: Vec<String>,
    string_index: HashMap<Name, u32>,
    actors: Vec<[u32; 7]>,
    actor_index: HashMap<Actor, u32>,
}

impl Used<'_> {
    fn string(&mut self, name: Name) -> u32 {
        if name == Name::NONE {
            return 0;
        }
        let strings = &mut self.strings;
        *self.string_index.entry(name).or_insert_with(|| {
            // Lines of remedies stay lines; nothing else of a name may move what is around it.
            let lines = self.found.names.text(name).split('\n');
            let lines: Vec<_> = lines.map(|line| escape(line).to_string()).collect();
            strings.push(lines.join("\n"));
            strings.len() as u32 - 1
        })
    }

    /// A name on one line.
    fn actor(&mut self, actor: Actor) -> u32 {
        let Some(process) = self.found.names.process(actor).copied() else {
            return 0;
        };
        if let Some(&number) = self.actor_index.get(&actor) {
            return number;
        }
        let row = [
            process.pid,
            self.string(process.comm),
            self.string(process.exe),
            self.string(process.user),
            self.string(process.unit),
            self.string(process.container),
            self.string(process.host),
        ];
        self.actors.push(row);
        let number = self.actors.len() as u32 - 1;
        self.actor_index.insert(actor, number);
        number
    }
}

impl Data {
    pub(super) fn new(found: &Gather) -> Self {
        let (first, last) = found.span.unwrap_or_default();
        // Whole milliseconds, so that the sum is exact.
        let t0 = first.div_euclid(1_000_000);
        let clock = Clock { t0 };
        let mut used = Used {
            found,
            strings: vec![String::new()],
            string_index: HashMap::new(),
            actors: vec![[0; 7]],
            actor_index: HashMap::new(),
        };
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
        let mut stories: Vec<&Story> = found.stories.longest();
        stories.truncate(STORIES);
        let stories = stories
            .into_iter()
            .map(|story| story_data(&mut used, clock, &places, story))
            .collect();
        let blockers = found.stories.worst_blockers().into_iter().take(ROWS);
        let blockers = blockers
            .map(|(key, blame)| {
                let mut ports = blame.ports.clone();
                ports.sort_unstable();
                BlockerRow {
                    name: words::blocker(found, &key),
                    comm: used.string(key.comm),
                    failures: blame.failures,
                    ms: blame.ms,
                    ports,
                    more: blame.more_ports,
                }
            })
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
                )
            })
            .collect();
        let gaps = found
            .gaps
            .iter()
            .map(|gap| {
                (
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
            episodes: found.stories.count,
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
            stories,
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

#[derive(Clone, Copy)]
struct Clock {
    t0: i64,
}

impl Clock {
    /// Milliseconds since `t0`, to the microsecond.
    fn ms(self, ns: i64) -> f64 {
        (i128::from(ns) - i128::from(self.t0) * 1_000_000) as f64 / 1e6
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

impl Holds {
    fn push(&mut self, used: &mut Used<'_>, clock: Clock, hold: &Hold) {
        self.kind.push(hold.kind as u8);
        self.start.push(clock.ms(hold.start));
        self.end.push(clock.ms(hold.end));
        self.begun.push(hold.begun.into());
        self.ended.push(hold.ended as u8);
        self.who.push(used.actor(hold.who));
        self.local.push(used.string(hold.local));
        self.remote.push(used.string(hold.remote));
        self.count.push(hold.count);
        self.busy.push(hold.busy as f64 / 1e6);
    }
}

impl Marks {
    fn push(&mut self, used: &mut Used<'_>, clock: Clock, mark: &Mark) {
        self.time.push(clock.ms(mark.time));
        self.last.push(clock.ms(mark.last));
        self.failed.push(mark.failed.into());
        self.op.push(mark.op as u8);
        self.result.push(used.string(mark.result));
        self.cause.push(lane::number(mark.cause));
        self.who.push(used.actor(mark.who));
        self.addr.push(used.string(mark.addr));
        self.kind
            .push(mark.blocker.map_or(4, |(kind, _)| kind as u8));
        self.blocker
            .push(mark.blocker.map_or(0, |(_, who)| used.actor(who)));
        self.summary.push(used.string(mark.summary));
        self.because.push(used.string(mark.because));
        self.remedies.push(used.string(mark.remedies));
        self.count.push(mark.count);
    }
}

fn story_data(
    used: &mut Used<'_>,
    clock: Clock,
    places: &HashMap<Place, usize>,
    story: &Story,
) -> StoryData {
    StoryData {
        lane: places.get(&story.place).copied(),
        place: words::place(used.found, &story.place),
        addr: used.string(story.addr),
        who: used.actor(story.who),
        first: clock.ms(story.first),
        last: clock.ms(story.last),
        ms: story.blocked_ms,
        attempts: story.attempts,
        outcome: match story.outcome {
            Some(outcome) => Outcome::as_str(outcome),
            None => "unknown",
        },
        by: story
            .by
            .iter()
            .map(|spell| (lane::number(spell.cause), used.actor(spell.who), spell.ms))
            .collect(),
    }
}
