//! Adds lines up: totals, episodes, and the timeline of each port. What is kept has an end, whatever the size of the log.

mod attempt;
mod episode;
mod hosts;
mod runs;
mod sockets;
mod thin;

use std::collections::HashMap;

use foldhash::fast::RandomState;

pub use self::thin::ITEMS;
use self::{hosts::Hosts, runs::Run, sockets::Open};
use super::{
    lane::{Lane, Place},
    line::{Body, Line, Who},
    names::{Actor, Name, Names},
    read::Sink,
    tally::{Count, Tally},
};
use crate::episodes::{Blocker, Episodes};
use portwatch_core::model::verdict::Cause;
use portwatch_log::{self as log, cli::PortRange};

/// Ports that are counted each by itself.
const LANES: usize = 1 << 16;
/// Sessions and gaps that are listed one by one.
const NOTES: usize = 1000;

/// What is wanted; empty and `None` mean everything.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Ports, requested or given.
    pub ports: Vec<PortRange>,
    /// Failures with these causes; with any, successes are left out.
    pub causes: Vec<Cause>,
    /// Not before: nanoseconds since 1970.
    pub since: Option<i64>,
    /// Not after.
    pub until: Option<i64>,
}

impl Wanted {
    fn port(&self, port: u16) -> bool {
        self.ports.is_empty()
            || self
                .ports
                .iter()
                .any(|range| (range.first..=range.last).contains(&port))
    }

    fn cause(&self, cause: Option<Cause>) -> bool {
        self.causes.is_empty() || cause.is_some_and(|cause| self.causes.contains(&cause))
    }

    fn time(&self, time: i64) -> bool {
        self.since.is_none_or(|since| since <= time) && self.until.is_none_or(|until| time <= until)
    }
}

/// A time of tracing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Host name.
    pub host: Name,
    /// Kernel release.
    pub kernel: Name,
    /// Version of portwatch.
    pub version: Name,
    /// Nanoseconds since 1970.
    pub start: i64,
    /// Its last record.
    pub end: i64,
    /// It ended with a `stop` record.
    pub stopped: bool,
}

/// Something is missing in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Host name.
    pub host: Name,
    /// What.
    pub kind: Name,
    /// How many.
    pub count: u64,
    /// Not before.
    pub from: i64,
    /// Not after.
    pub to: i64,
}

/// Everything that was found.
#[derive(Default)]
pub struct Gather {
    /// What was asked for.
    pub wanted: Wanted,
    /// Strings and processes.
    pub names: Names,
    /// Timelines.
    pub lanes: Vec<(Place, Lane)>,
    index: HashMap<Place, u32, RandomState>,
    recent: Option<(Place, u32)>,
    open: HashMap<sockets::Key, Open, RandomState>,
    hosts: Hosts,
    /// The one that is being read.
    run: Run,
    /// Those that other logs ended in.
    parked: Vec<Run>,
    runs: u32,
    /// Episodes and blockers.
    pub episodes: Episodes,
    /// All attempts.
    pub total: Count,
    /// Failures by cause; `None` for those without a verdict.
    pub causes: Tally<Option<Cause>>,
    /// By name of the process.
    pub programs: Tally<Name>,
    /// By systemd unit.
    pub units: Tally<Name>,
    /// By container.
    pub containers: Tally<Name>,
    /// Times of tracing.
    pub sessions: Vec<Session>,
    /// What is missing.
    pub gaps: Vec<Gap>,
    /// Lines that could not be read.
    pub unreadable_lines: u64,
    /// Lines that could.
    pub records: u64,
    /// First and last time of what was wanted.
    pub span: Option<(i64, i64)>,
    /// Ports, sockets, sessions and gaps that there was no room for.
    pub dropped: u64,
    thin: thin::Thin,
    /// Room for an address and a port.
    address: String,
}

impl Gather {
    /// Looks for what is wanted.
    #[must_use]
    pub fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            ..Self::default()
        }
    }

    /// No more is to come.
    pub fn finish(&mut self) {
        self.park();
        for run in std::mem::take(&mut self.parked) {
            self.close_all(run.number, run.last, true);
        }
        self.episodes.finish();
        self.clip();
        self.fit();
        // Their order depends on nothing but what was found.
        self.lanes.sort_by(|(a, left), (b, right)| {
            right.failures.cmp(&left.failures).then_with(|| a.cmp(b))
        });
        for (_, lane) in &mut self.lanes {
            lane.holds.sort_unstable_by_key(|hold| {
                (hold.start, hold.kind, hold.end, hold.who, hold.remote)
            });
            lane.marks
                .sort_unstable_by_key(|mark| (mark.time, mark.failed, mark.who, mark.addr));
        }
        self.index.clear();
        self.recent = None;
    }

    /// Forgets what is outside of the time that is wanted.
    fn clip(&mut self) {
        let since = self.wanted.since.unwrap_or(i64::MIN);
        let until = self.wanted.until.unwrap_or(i64::MAX);
        for (_, lane) in &mut self.lanes {
            lane.holds
                .retain(|hold| hold.end >= since && hold.start <= until);
            for hold in &mut lane.holds {
                if hold.start < since {
                    hold.busy -= if hold.count == 1 {
                        since - hold.start
                    } else {
                        0
                    };
                    hold.start = since;
                    hold.begun = false;
                }
            }
        }
    }

    fn line(&mut self, line: &Line<'_>, continues: bool) {
        self.records += 1;
        let wanted = self.wanted.time(line.time);
        if self.wanted.until.is_some_and(|until| until < line.time) {
            return;
        }
        if let (Body::Start { boot_ns, start }, false) = (&line.body, continues) {
            self.start(line, *boot_ns, start);
        }
        if self.run.last == 0 {
            self.run.started = line.time;
        }
        self.run.last = self.run.last.max(line.time);
        self.run.seq = line.seq;
        if let Some(session) = self
            .run
            .session
            .and_then(|index| self.sessions.get_mut(index))
        {
            session.end = session.end.max(line.time);
            session.stopped = matches!(line.body, Body::Stop);
        }
        if wanted {
            let (first, last) = self.span.unwrap_or((line.time, line.time));
            self.span = Some((first.min(line.time), last.max(line.time)));
        }
        match &line.body {
            Body::Start { .. } | Body::Stop => {}
            Body::Attempt(attempt) => self.attempt(line.time, attempt, wanted),
            Body::Port {
                action,
                proto,
                how,
                socket,
            } => self.port(line.time, *action, *proto, *how, socket),
            Body::TimeWait {
                action,
                expires_in_ms,
                lasted_ms,
                socket,
            } => self.time_wait(line.time, *action, *expires_in_ms, *lasted_ms, socket),
            Body::Episode(episode) => self.episode(episode),
            Body::Lost {
                kind,
                count,
                from,
                to,
            } => {
                let gap = Gap {
                    host: self.run.host,
                    kind: self.names.name(kind.as_str()),
                    count: *count,
                    from: *from,
                    to: *to,
                };
                if self.gaps.len() < NOTES {
                    self.gaps.push(gap);
                } else {
                    self.dropped += 1;
                }
            }
        }
    }

    fn actor(&mut self, who: Option<Who<'_>>) -> Actor {
        who.map_or(Actor::NONE, |who| self.names.actor(self.run.host, who))
    }

    fn blocker(&self, who: Actor) -> Option<Blocker> {
        self.names.process(who).map(|process| Blocker {
            host: process.host,
            comm: process.comm,
            unit: process.unit,
            container: process.container,
        })
    }

    /// The lane of a place; `None` if there is no room for one.
    fn lane(&mut self, place: Place) -> Option<u32> {
        if let Some((_, lane)) = self.recent.filter(|(recent, _)| *recent == place) {
            return Some(lane);
        }
        let lane = match self.index.get(&place) {
            Some(&lane) => lane,
            None if self.lanes.len() < LANES => {
                let lane = self.lanes.len() as u32;
                self.lanes.push((place, Lane::default()));
                self.index.insert(place, lane);
                lane
            }
            None => {
                self.dropped += 1;
                return None;
            }
        };
        self.recent = Some((place, lane));
        Some(lane)
    }
}

impl Sink for Gather {
    fn log(&mut self, _log: usize) {
        self.park();
    }

    fn line(&mut self, line: &Line<'_>, continues: bool) {
        self.line(line, continues);
    }

    fn problem(&mut self, _place: &log::Place, problem: &log::Problem) {
        // Where only an end is missing, every line could be read.
        self.unreadable_lines += u64::from(problem.kind().is_some());
    }
}

#[cfg(test)]
mod tests;
