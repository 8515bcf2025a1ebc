//! A line in one pass: which type of record it is, and the fields of that type.

use serde::Deserialize;

use super::{
    At, Attempt, Blocker, Body, Episode, Freed, Line, Moment, Number, Seen, Segment, Socket, Text,
    UnixName, Verdict, Who,
};
use portwatch_core::model::{
    attempt::Op,
    episode::Outcome,
    port,
    record::{self, Record, SCHEMA},
    socket::Proto,
    time_wait,
};
use portwatch_log::json;

/// What every line begins with that portwatch wrote, up to the type: so that need not be looked for.
const BEGINNING: &str = r#"{"schema":1,"type":""#;

#[derive(Deserialize)]
struct Kind<'a> {
    schema: u32,
    #[serde(borrow)]
    r#type: Text<'a>,
}

#[derive(Deserialize)]
struct Head {
    seq: u64,
    time: Moment,
}

#[derive(Deserialize)]
struct OfAttempt<'a> {
    seq: u64,
    time: Moment,
    op: Op,
    #[serde(borrow)]
    result: Text<'a>,
    proto: Proto,
    #[serde(borrow, default)]
    addr: Option<Text<'a>>,
    #[serde(default)]
    port: Option<u16>,
    #[serde(default)]
    bound_port: Option<u16>,
    #[serde(default)]
    netns: Option<u32>,
    #[serde(borrow)]
    process: Who<'a>,
    socket: Socket,
    #[serde(borrow, default)]
    blockers: Vec<Blocker<'a>>,
    #[serde(borrow, default)]
    unix: Option<UnixName<'a>>,
    #[serde(borrow, default)]
    verdict: Option<Verdict<'a>>,
    #[serde(default)]
    episode: Option<u64>,
}

/// A `port` or a `time_wait`.
#[derive(Deserialize)]
struct OfSocket<'a, A> {
    seq: u64,
    time: Moment,
    action: A,
    #[serde(default)]
    proto: Option<Proto>,
    #[serde(default)]
    how: Option<port::How>,
    netns: u32,
    #[serde(borrow)]
    local: At<'a>,
    #[serde(borrow, default)]
    remote: Option<At<'a>>,
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
}

#[derive(Deserialize)]
struct OfEpisode<'a> {
    seq: u64,
    time: Moment,
    id: u64,
    #[serde(borrow)]
    process: Who<'a>,
    proto: Proto,
    #[serde(borrow, default)]
    addr: Option<Text<'a>>,
    #[serde(default)]
    port: Option<u16>,
    #[serde(default)]
    netns: Option<u32>,
    first: Moment,
    last: Moment,
    attempts: u64,
    processes: u64,
    outcome: Outcome,
    blocked_ms: u64,
    #[serde(borrow, default)]
    by: Vec<Segment<'a>>,
    #[serde(borrow, default)]
    freed_by: Option<Freed<'a>>,
}

#[derive(Deserialize)]
struct OfLost<'a> {
    seq: u64,
    time: Moment,
    #[serde(borrow)]
    kind: Text<'a>,
    count: u64,
    from: Moment,
    to: Moment,
}

impl<'a> Line<'a> {
    /// Reads a line, with or without its newline. `None` if it is no record: [`examine`](portwatch_log::reader::examine) says
    /// why.
    #[must_use]
    pub fn parse(line: &'a str) -> Option<Self> {
        if let Some(rest) = line.strip_prefix(BEGINNING) {
            let end = memchr::memchr(b'"', rest.as_bytes())?;
            return Self::of(&rest[..end], line).ok()?;
        }
        let Kind { schema, r#type } = serde_json::from_str(line).ok()?;
        if schema != SCHEMA {
            return None;
        }
        Self::of(r#type.as_str(), line).ok()?
    }

    /// `None` of a type that is not known.
    fn of(kind: &str, line: &'a str) -> serde_json::Result<Option<Self>> {
        let (seq, time, body) = match kind {
            "attempt" => serde_json::from_str(line).map(OfAttempt::body)?,
            "port" => match serde_json::from_str(line).map(OfSocket::port)? {
                Some(port) => port,
                None => return Ok(None),
            },
            "time_wait" => serde_json::from_str(line).map(OfSocket::time_wait)?,
            "episode" => serde_json::from_str(line).map(OfEpisode::body)?,
            "lost" => {
                let OfLost {
                    seq,
                    time,
                    kind,
                    count,
                    from: Moment(from),
                    to: Moment(to),
                } = serde_json::from_str(line)?;
                let lost = Body::Lost {
                    kind,
                    count,
                    from,
                    to,
                };
                (seq, time, lost)
            }
            "start" | "stop" => {
                let Head { seq, time } = serde_json::from_str(line)?;
                let Some(body) = frame(line) else {
                    return Ok(None);
                };
                (seq, time, body)
            }
            _ => return Ok(None),
        };
        Ok(Some(Self {
            seq,
            time: time.0,
            body,
        }))
    }
}

impl<'a> OfAttempt<'a> {
    fn body(self) -> (u64, Moment, Body<'a>) {
        let body = Body::Attempt(Box::new(Attempt {
            op: self.op,
            result: self.result,
            proto: self.proto,
            addr: self.addr,
            port: self.port,
            bound_port: self.bound_port,
            netns: self.netns,
            process: self.process,
            cookie: self.socket.cookie.map(|cookie| cookie.0),
            blockers: self.blockers,
            unix: self.unix,
            verdict: self.verdict,
            episode: self.episode,
        }));
        (self.seq, self.time, body)
    }
}

impl<'a, A> OfSocket<'a, A> {
    fn seen(self) -> Seen<'a> {
        Seen {
            netns: self.netns,
            local: self.local,
            remote: self.remote,
            owner: self.owner,
            since: self.since.map(|since| since.0),
            cookie: self.cookie.map(|cookie| cookie.0),
        }
    }
}

impl<'a> OfSocket<'a, port::Action> {
    fn port(self) -> Option<(u64, Moment, Body<'a>)> {
        let (seq, time) = (self.seq, self.time);
        let body = Body::Port {
            action: self.action,
            proto: self.proto?,
            how: self.how,
            socket: self.seen(),
        };
        Some((seq, time, body))
    }
}

impl<'a> OfSocket<'a, time_wait::Action> {
    fn time_wait(self) -> (u64, Moment, Body<'a>) {
        let (seq, time) = (self.seq, self.time);
        let body = Body::TimeWait {
            action: self.action,
            expires_in_ms: self.expires_in_ms,
            lasted_ms: self.lasted_ms,
            socket: self.seen(),
        };
        (seq, time, body)
    }
}

impl<'a> OfEpisode<'a> {
    fn body(self) -> (u64, Moment, Body<'a>) {
        let body = Body::Episode(Box::new(Episode {
            id: self.id,
            process: self.process,
            proto: self.proto,
            addr: self.addr,
            port: self.port,
            netns: self.netns,
            first: self.first.0,
            last: self.last.0,
            attempts: self.attempts,
            processes: self.processes,
            outcome: self.outcome,
            blocked_ms: self.blocked_ms,
            by: self.by,
            freed_by: self.freed_by,
        }));
        (self.seq, self.time, body)
    }
}

/// The first or last record of a run: there are few, and they are read whole.
#[cold]
fn frame(line: &str) -> Option<Body<'static>> {
    let Record { boot_ns, body, .. } = json::from_line(line).ok()?;
    match body {
        record::Body::Start(start) => Some(Body::Start { boot_ns, start }),
        record::Body::Stop(_) => Some(Body::Stop),
        _ => None,
    }
}
