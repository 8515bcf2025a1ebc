//! A line in one pass: all fields that any type of record has, of which each type uses its own.

use serde::{Deserialize, de};

use super::{
    At, Attempt, Blocker, Body, Episode, Freed, Line, Moment, Number, Seen, Segment, Socket, Text,
    Verdict, Who,
};
use crate::{
    model::{attempt::Op, episode::Outcome, port, record::SCHEMA, socket::Proto, time_wait},
    output::json::{self, LineError},
};

/// Every field that any type of record has, in one pass over the line.
#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct Raw<'a> {
    schema: u32,
    #[serde(borrow)]
    r#type: Text<'a>,
    seq: u64,
    time: Moment,
    #[serde(borrow, default)]
    host: Option<Text<'a>>,
    #[serde(borrow, default)]
    boot_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    kernel: Option<Text<'a>>,
    #[serde(borrow, default)]
    version: Option<Text<'a>>,
    #[serde(default)]
    op: Option<Op>,
    #[serde(borrow, default)]
    result: Option<Text<'a>>,
    #[serde(default)]
    proto: Option<Proto>,
    #[serde(borrow, default)]
    addr: Option<Text<'a>>,
    #[serde(default)]
    port: Option<u16>,
    #[serde(default)]
    bound_port: Option<u16>,
    #[serde(default)]
    netns: Option<u32>,
    #[serde(borrow, default)]
    process: Option<Who<'a>>,
    #[serde(default)]
    socket: Option<Socket>,
    #[serde(borrow, default)]
    blockers: Vec<Blocker<'a>>,
    #[serde(borrow, default)]
    verdict: Option<Verdict<'a>>,
    #[serde(default)]
    episode: Option<u64>,
    #[serde(borrow, default)]
    action: Option<Text<'a>>,
    #[serde(borrow, default)]
    local: Option<At<'a>>,
    #[serde(borrow, default)]
    remote: Option<At<'a>>,
    #[serde(default)]
    how: Option<port::How>,
    #[serde(borrow, default)]
    owner: Option<Who<'a>>,
    #[serde(default)]
    since: Option<Moment>,
    #[serde(default)]
    cookie: Option<Number>,
    #[serde(default)]
    expires_in_ms: Option<u64>,
    #[serde(default)]
    lasted_ms: Option<u64>,
    #[serde(default)]
    id: Option<u64>,
    #[serde(default)]
    first: Option<Moment>,
    #[serde(default)]
    last: Option<Moment>,
    #[serde(default)]
    attempts: Option<u64>,
    #[serde(default)]
    processes: Option<u64>,
    #[serde(default)]
    outcome: Option<Outcome>,
    #[serde(default)]
    blocked_ms: Option<u64>,
    #[serde(borrow, default)]
    by: Vec<Segment<'a>>,
    #[serde(borrow, default)]
    freed_by: Option<Freed<'a>>,
    #[serde(borrow, default)]
    kind: Option<Text<'a>>,
    #[serde(default)]
    count: Option<u64>,
    #[serde(default)]
    from: Option<Moment>,
    #[serde(default)]
    to: Option<Moment>,
}

impl<'a> Line<'a> {
    /// Reads a line, with or without its newline.
    ///
    /// # Errors
    ///
    /// The same as of [`json::from_line`], in the same words.
    pub fn parse(line: &'a str) -> Result<Self, LineError> {
        let found = serde_json::from_str::<Raw<'a>>(line)
            .ok()
            .filter(|raw| raw.schema == SCHEMA)
            .and_then(Self::of);
        found.ok_or_else(|| why(line))
    }

    /// `None` if a field is missing that this type of record must have.
    fn of(raw: Raw<'a>) -> Option<Self> {
        let body = match raw.r#type.as_str() {
            "attempt" => Body::Attempt(Box::new(Attempt {
                op: raw.op?,
                result: raw.result?,
                proto: raw.proto?,
                addr: raw.addr,
                port: raw.port,
                bound_port: raw.bound_port,
                netns: raw.netns,
                process: raw.process?,
                cookie: raw.socket?.cookie.map(|cookie| cookie.0),
                blockers: raw.blockers,
                verdict: raw.verdict,
                episode: raw.episode,
            })),
            "port" => Body::Port {
                action: match raw.action?.as_str() {
                    "taken" => port::Action::Taken,
                    "released" => port::Action::Released,
                    _ => return None,
                },
                proto: raw.proto?,
                how: raw.how,
                socket: Seen {
                    netns: raw.netns?,
                    local: raw.local?,
                    remote: raw.remote,
                    owner: raw.owner,
                    since: raw.since.map(|since| since.0),
                    cookie: raw.cookie.map(|cookie| cookie.0),
                },
            },
            "time_wait" => Body::TimeWait {
                action: match raw.action?.as_str() {
                    "enter" => time_wait::Action::Enter,
                    "rearm" => time_wait::Action::Rearm,
                    "leave" => time_wait::Action::Leave,
                    _ => return None,
                },
                expires_in_ms: raw.expires_in_ms,
                lasted_ms: raw.lasted_ms,
                socket: Seen {
                    netns: raw.netns?,
                    local: raw.local?,
                    remote: raw.remote,
                    owner: raw.owner,
                    since: raw.since.map(|since| since.0),
                    cookie: raw.cookie.map(|cookie| cookie.0),
                },
            },
            "episode" => Body::Episode(Box::new(Episode {
                id: raw.id?,
                process: raw.process?,
                proto: raw.proto?,
                addr: raw.addr,
                port: raw.port,
                netns: raw.netns,
                first: raw.first?.0,
                last: raw.last?.0,
                attempts: raw.attempts?,
                processes: raw.processes?,
                outcome: raw.outcome?,
                blocked_ms: raw.blocked_ms?,
                by: raw.by,
                freed_by: raw.freed_by,
            })),
            "start" => Body::Start {
                host: raw.host?,
                boot_id: raw.boot_id,
                kernel: raw.kernel?,
                version: raw.version?,
            },
            "lost" => Body::Lost {
                kind: raw.kind?,
                count: raw.count?,
                from: raw.from?.0,
                to: raw.to?.0,
            },
            "stop" => Body::Stop,
            _ => return None,
        };
        Some(Self {
            seq: raw.seq,
            time: raw.time.0,
            body,
        })
    }
}

/// What is wrong with a line. Slow, and only for lines that could not be read.
#[cold]
fn why(line: &str) -> LineError {
    match json::from_line(line) {
        Err(error) => error,
        Ok(_) => LineError::Malformed(de::Error::custom("a field has an impossible value")),
    }
}
