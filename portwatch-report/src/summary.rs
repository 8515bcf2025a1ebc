//! What a report says in words and numbers, as `--format json` prints it.

use serde::Serialize;

use super::{
    gather::Gather,
    lane::{Place, Space},
    names::{Actor, Name},
    tally::Tally,
    time, words,
};
use crate::episodes::Episode;

/// The report. Rows are sorted: the worst first, episodes by their beginning. Times are RFC 3339.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Time of the first record.
    pub from: Option<String>,
    /// Time of the last record.
    pub to: Option<String>,
    /// Names of the hosts.
    pub hosts: Vec<String>,
    /// Records that were read.
    pub records: u64,
    /// Lines that could not be read.
    pub unreadable: u64,
    /// Calls.
    pub attempts: u64,
    /// Of these, failures.
    pub failures: u64,
    /// Failures by cause.
    pub by_cause: Vec<CauseRow>,
    /// Failures by port.
    pub by_port: Vec<PortRow>,
    /// Failures by name of the process.
    pub by_program: Vec<NameRow>,
    /// Failures by systemd unit.
    pub by_unit: Vec<NameRow>,
    /// Failures by container.
    pub by_container: Vec<NameRow>,
    /// Episodes that lasted longest, of those that lasted a millisecond.
    pub longest_blocked: Vec<EpisodeRow>,
    /// Episodes with the most attempts.
    pub most_retried: Vec<EpisodeRow>,
    /// Who blocked most often.
    pub worst_blockers: Vec<BlockerRow>,
    /// Episodes: the longest ten thousand, by their beginning.
    pub episodes: Vec<EpisodeRow>,
    /// How many episodes there were.
    pub episode_count: u64,
    /// What is missing in the logs.
    pub lost: Vec<LostRow>,
    /// Rows, names and sockets that there was no room for: where this is not 0, the smallest rows may be missing or low.
    pub not_kept: u64,
}

/// Failures with a cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CauseRow {
    /// Its id; `null` for failures without a verdict.
    pub cause: Option<&'static str>,
    /// How many.
    pub failures: u64,
}

/// A port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PortRow {
    /// Host name.
    pub host: String,
    /// Inode of the network namespace; `null` where that is not known.
    pub netns: Option<u32>,
    /// Protocol.
    pub proto: &'static str,
    /// The port; 0 if none was given to a call that asked for any, `null` of the unix family.
    pub port: Option<u16>,
    /// Of the unix family: the path.
    pub path: Option<String>,
    /// Calls.
    pub attempts: u64,
    /// Of these, failures.
    pub failures: u64,
    /// The cause that most failures have.
    pub cause: Option<&'static str>,
    /// First attempt.
    pub first: Option<String>,
    /// Last attempt.
    pub last: Option<String>,
    /// For people.
    #[serde(skip)]
    pub words: String,
}

/// A program, unit or container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NameRow {
    /// Its name; `null` for all that there was no room for.
    pub name: Option<String>,
    /// Calls.
    pub attempts: u64,
    /// Of these, failures.
    pub failures: u64,
}

/// An episode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EpisodeRow {
    /// Host name.
    pub host: String,
    /// Who tried, the last time.
    pub process: Option<ProcessRow>,
    /// Protocol.
    pub proto: &'static str,
    /// The address as requested.
    pub addr: Option<String>,
    /// The port.
    pub port: Option<u16>,
    /// First failure.
    pub first: String,
    /// Last attempt.
    pub last: String,
    /// How many.
    pub attempts: u64,
    /// How it ended: `bound`, `gave_up`, `open`; `null` where the log ends before.
    pub outcome: Option<&'static str>,
    /// How long.
    pub blocked_ms: u64,
    /// Who blocked it, in sequence.
    pub by: Vec<SpellRow>,
    /// For people.
    #[serde(skip)]
    pub words: EpisodeWords,
}

/// Names of an episode as text prints them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EpisodeWords {
    /// Who tried.
    pub who: String,
    /// Where.
    pub place: String,
    /// First failure, in nanoseconds.
    pub first: i64,
    /// The blocker.
    pub by: Vec<(String, u64)>,
}

/// A time during which one cause and one owner blocked it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SpellRow {
    /// The cause.
    pub cause: Option<&'static str>,
    /// Whose socket.
    pub owner: Option<ProcessRow>,
    /// How long.
    pub ms: u64,
    /// Failures.
    pub attempts: u64,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "named after the fields of `model::process`")]
pub struct ProcessRow {
    pub pid: u32,
    pub comm: String,
    pub unit: Option<String>,
    pub container: Option<String>,
}

/// The blocker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BlockerRow {
    /// Host name.
    pub host: String,
    /// Name of the process.
    pub comm: String,
    /// systemd unit.
    pub unit: Option<String>,
    /// Container.
    pub container: Option<String>,
    /// Attempts that failed because of it.
    pub failures: u64,
    /// How long episodes were held up by it.
    pub blocked_ms: u64,
    /// Ports, at most eight.
    pub ports: Vec<u16>,
    /// For people.
    #[serde(skip)]
    pub words: String,
}

/// Something that is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LostRow {
    /// Host name.
    pub host: String,
    /// What.
    pub kind: String,
    /// How many.
    pub count: u64,
    /// Not before.
    pub from: String,
    /// Not after.
    pub to: String,
}

impl Summary {
    /// The `top` worst rows of each table.
    #[must_use]
    pub fn new(found: &Gather, top: usize) -> Self {
        let episodes = |rows: Vec<&Episode>, limit| -> Vec<EpisodeRow> {
            rows.into_iter()
                .take(limit)
                .map(|row| episode(found, row))
                .collect()
        };
        let mut hosts: Vec<String> = Vec::new();
        for session in &found.sessions {
            let host = found.names.text(session.host);
            if !hosts.iter().any(|other| other == host) {
                hosts.push(host.to_owned());
            }
        }
        let by_cause = found
            .causes
            .worst()
            .into_iter()
            .map(|(cause, count)| CauseRow {
                cause: cause.map(portwatch_core::model::verdict::Cause::as_str),
                failures: count.failures,
            });
        let by_port = found
            .lanes
            .iter()
            .filter(|(_, lane)| lane.failures > 0)
            .take(top)
            .map(|(place, lane)| PortRow {
                host: found.names.text(place.host).to_owned(),
                netns: (place.netns != 0).then_some(place.netns),
                proto: place.proto.as_str(),
                port: port(place),
                path: string(found, place.path),
                attempts: lane.attempts,
                failures: lane.failures,
                cause: lane
                    .main_cause()
                    .map(portwatch_core::model::verdict::Cause::as_str),
                first: lane.span.map(|(first, _)| time::format(first)),
                last: lane.span.map(|(_, last)| time::format(last)),
                words: words::place(found, place),
            });
        let worst_blockers =
            found
                .episodes
                .worst_blockers()
                .into_iter()
                .take(top)
                .map(|(key, blame)| {
                    let mut ports = blame.ports.clone();
                    ports.sort_unstable();
                    BlockerRow {
                        host: found.names.text(key.host).to_owned(),
                        comm: found.names.text(key.comm).to_owned(),
                        unit: string(found, key.unit),
                        container: string(found, key.container),
                        failures: blame.failures,
                        blocked_ms: blame.ms,
                        ports,
                        words: words::blocker(found, &key),
                    }
                });
        let mut longest = found.episodes.longest();
        longest.retain(|episode| episode.blocked_ms > 0);
        let lost = found.gaps.iter().map(|gap| LostRow {
            host: found.names.text(gap.host).to_owned(),
            kind: found.names.text(gap.kind).to_owned(),
            count: gap.count,
            from: time::format(gap.from),
            to: time::format(gap.to),
        });
        Self {
            from: found.span.map(|(first, _)| time::format(first)),
            to: found.span.map(|(_, last)| time::format(last)),
            hosts,
            records: found.records,
            unreadable: found.unreadable_lines,
            attempts: found.total.attempts,
            failures: found.total.failures,
            by_cause: by_cause.collect(),
            by_port: by_port.collect(),
            by_program: names(found, &found.programs, top),
            by_unit: names(found, &found.units, top),
            by_container: names(found, &found.containers, top),
            longest_blocked: episodes(longest, top),
            most_retried: episodes(found.episodes.most_retried(), top),
            worst_blockers: worst_blockers.collect(),
            episodes: episodes(found.episodes.in_order(), usize::MAX),
            episode_count: found.episodes.count,
            lost: lost.collect(),
            not_kept: found.dropped + found.names.dropped + found.episodes.dropped,
        }
    }
}

fn names(found: &Gather, tally: &Tally<Name>, top: usize) -> Vec<NameRow> {
    let mut rows: Vec<NameRow> = tally
        .worst()
        .into_iter()
        .take(top)
        .map(|(name, count)| NameRow {
            name: Some(found.names.text(name).to_owned()),
            attempts: count.attempts,
            failures: count.failures,
        })
        .collect();
    if tally.others.failures > 0 {
        rows.push(NameRow {
            name: None,
            attempts: tally.others.attempts,
            failures: tally.others.failures,
        });
    }
    rows
}

fn episode(found: &Gather, episode: &Episode) -> EpisodeRow {
    let addr = string(found, episode.addr);
    let target = match (&addr, port(&episode.place)) {
        (Some(addr), Some(port)) if addr.contains(':') => format!("[{addr}]:{port}"),
        (Some(addr), Some(port)) => format!("{addr}:{port}"),
        (Some(addr), None) => addr.clone(),
        (None, Some(port)) => port.to_string(),
        (None, None) => "?".to_owned(),
    };
    let spells = episode.by.iter().map(|spell| {
        let cause = spell
            .cause
            .map_or("unknown", portwatch_core::model::verdict::Cause::as_str);
        let name = words::short(found, spell.who)
            .map_or_else(|| cause.to_owned(), |who| format!("{who} ({cause})"));
        (name, spell.ms)
    });
    EpisodeRow {
        host: found.names.text(episode.place.host).to_owned(),
        process: process(found, episode.who),
        proto: episode.place.proto.as_str(),
        addr,
        port: port(&episode.place),
        first: time::format(episode.first),
        last: time::format(episode.last),
        attempts: episode.attempts,
        outcome: episode
            .outcome
            .map(portwatch_core::model::episode::Outcome::as_str),
        blocked_ms: episode.blocked_ms,
        by: episode
            .by
            .iter()
            .map(|spell| SpellRow {
                cause: spell
                    .cause
                    .map(portwatch_core::model::verdict::Cause::as_str),
                owner: process(found, spell.who),
                ms: spell.ms,
                attempts: spell.attempts,
            })
            .collect(),
        words: EpisodeWords {
            who: words::who(found, episode.who).unwrap_or_else(|| "a process".to_owned()),
            place: format!(
                "{} {}",
                episode.place.proto.as_str(),
                portwatch_core::words::escape::escape(&target)
            ),
            first: episode.first,
            by: spells.collect(),
        },
    }
}

fn process(found: &Gather, actor: Actor) -> Option<ProcessRow> {
    found.names.process(actor).map(|process| ProcessRow {
        pid: process.pid,
        comm: found.names.text(process.comm).to_owned(),
        unit: string(found, process.unit),
        container: string(found, process.container),
    })
}

fn port(place: &Place) -> Option<u16> {
    (place.proto != Space::Unix).then_some(place.port)
}

fn string(found: &Gather, name: Name) -> Option<String> {
    (name != Name::NONE).then(|| found.names.text(name).to_owned())
}
