//! Adds lines up: totals, stories, and the timeline of each port. What is kept has an end, whatever the size of the log.

mod attempt;
mod episode;
mod sockets;
mod thin;

use std::collections::HashMap;

use foldhash::fast::RandomState;

use self::sockets::Open;
pub use self::thin::ITEMS;
use super::{
    lane::{Lane, Place},
    line::{Body, Line, Who},
    names::{Actor, Name, Names},
    read::{Problem, Sink},
    stories::{Blocker, Stories},
    tally::{Count, Tally},
};
use crate::{cli::PortRange, model::verdict::Cause};

/// Ports that are counted each by itself.
const LANES: usize = 1 << 16;
/// Sessions, gaps and unreadable lines that are told each by itself.
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

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Of which source.
    pub source: String,
    /// Which line.
    pub line: u64,
    /// Why.
    pub why: String,
    /// It is the last one, and cut off.
    pub cut: bool,
}

/// What is known of a host's log.
#[derive(Clone, Copy, Debug, Default)]
struct Host {
    name: Name,
    boot: Name,
    session: Option<usize>,
    started: i64,
    last: i64,
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
    hosts: HashMap<Name, Host, RandomState>,
    host: Host,
    /// Episodes and blockers.
    pub stories: Stories,
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
    /// Lines that could not be read: the first thousand.
    pub unreadable: Vec<Unreadable>,
    /// All of them.
    pub unreadable_lines: u64,
    /// Lines that could.
    pub records: u64,
    /// First and last time of what was wanted.
    pub span: Option<(i64, i64)>,
    /// Ports, sockets, sessions and gaps that there was no room for.
    pub dropped: u64,
    source: String,
    thin: thin::Thin,
    progress: Option<Box<dyn FnMut(u64) + Send>>,
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

    /// Has `told` called with the number of bytes whenever some are done.
    pub fn on_progress(&mut self, told: impl FnMut(u64) + Send + 'static) {
        self.progress = Some(Box::new(told));
    }

    /// No more is to come.
    pub fn finish(&mut self) {
        self.remember_host();
        let hosts: Vec<Host> = self.hosts.values().copied().collect();
        for host in hosts {
            self.close_all(host.name, host.last, true);
        }
        self.stories.finish();
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

    fn source(&mut self, name: &str) {
        self.remember_host();
        self.host = Host::default();
        name.clone_into(&mut self.source);
    }

    /// What was learnt of the current host is to be had again when its log goes on.
    fn remember_host(&mut self) {
        if self.host.name != Name::NONE || self.host.last != 0 {
            self.hosts.insert(self.host.name, self.host);
        }
    }

    fn line(&mut self, line: &Line<'_>) {
        self.records += 1;
        let wanted = self.wanted.time(line.time);
        if self.wanted.until.is_some_and(|until| until < line.time) {
            return;
        }
        if let Body::Start {
            host,
            boot_id,
            kernel,
            version,
        } = &line.body
        {
            let host = self.names.name(host.as_str());
            let boot = boot_id
                .as_ref()
                .map_or(Name::NONE, |id| self.names.name(id.as_str()));
            let (kernel, version) = (
                self.names.name(kernel.as_str()),
                self.names.name(version.as_str()),
            );
            self.start(line, host, boot, kernel, version);
        }
        self.host.last = self.host.last.max(line.time);
        if let Some(session) = self
            .host
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
                    host: self.host.name,
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

    /// A file begins. The log of one tracing may be in several files: the numbers of its records go on, or it begins with
    /// the same record again.
    fn start(&mut self, line: &Line<'_>, name: Name, boot: Name, kernel: Name, version: Name) {
        self.remember_host();
        let known = self.hosts.get(&name).copied();
        let mut host = known.unwrap_or_default();
        let goes_on =
            |known: Host| known.boot == boot && (line.seq > 1 || line.time == known.started);
        if known.is_some_and(goes_on) {
            self.host = host;
            return;
        }
        if known.is_some() {
            self.close_all(name, host.last, false);
        }
        host = Host {
            name,
            boot,
            session: None,
            started: line.time,
            last: line.time,
        };
        if self.sessions.len() < NOTES {
            host.session = Some(self.sessions.len());
            self.sessions.push(Session {
                host: name,
                kernel,
                version,
                start: line.time,
                end: line.time,
                stopped: false,
            });
        } else {
            self.dropped += 1;
        }
        self.host = host;
    }

    fn actor(&mut self, who: Option<Who<'_>>) -> Actor {
        who.map_or(Actor::NONE, |who| self.names.actor(self.host.name, who))
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
    fn source(&mut self, name: &str) {
        self.source(name);
    }

    fn line(&mut self, _number: u64, line: Line<'_>) {
        self.line(&line);
    }

    fn unreadable(&mut self, number: u64, problem: &Problem, last: bool) {
        self.unreadable_lines += 1;
        if self.unreadable.len() < NOTES {
            self.unreadable.push(Unreadable {
                source: self.source.clone(),
                line: number,
                why: problem.to_string(),
                cut: last,
            });
        }
    }

    fn done(&mut self, bytes: u64) {
        if let Some(told) = &mut self.progress {
            told(bytes);
        }
    }
}

#[cfg(test)]
mod tests;
