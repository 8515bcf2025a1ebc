//! What a report needs of a line: a fraction of the record, borrowed from the line itself.
//!
//! A log of a million records is read in about a second this way, where whole records (`output::json::from_line`) take
//! many. Fields have the names and the meaning of the model's; everything else of the line is skipped.

mod raw;

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use super::time;
use portwatch_core::model::{
    attempt::Op,
    episode::Outcome,
    freed::FreedHow,
    number::Big,
    port,
    record::Start,
    socket::{Proto, State},
    time_wait,
    verdict::{Cause, Certainty},
};

/// A string of the line, borrowed unless it holds escapes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text<'a>(pub Cow<'a, str>);

impl Text<'_> {
    /// The string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Visitor)
    }
}

/// A decimal number in a string.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Number(pub u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        let number = text.as_str().parse().map(Self);
        number.map_err(|_| de::Error::custom("not a decimal number"))
    }
}

/// A moment: nanoseconds since 1970, from RFC 3339.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        time::parse(text.as_str())
            .map(Self)
            .ok_or_else(|| de::Error::custom("not a time as RFC 3339 writes it"))
    }
}

/// A process as it stands in the line. Most lines name one that others have named: it is read once, by [`Who::read`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who<'a>(pub &'a str);

impl<'de: 'a, 'a> Deserialize<'de> for Who<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&'de RawValue>::deserialize(deserializer).map(|raw| Self(raw.get()))
    }
}

impl<'a> Who<'a> {
    /// `None` if it is none.
    #[must_use]
    pub fn read(self) -> Option<Process<'a>> {
        serde_json::from_str(self.0).ok()
    }
}

/// A process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "named after the fields of `model::process`")]
pub struct Process<'a> {
    pub pid: u32,
    #[serde(borrow)]
    pub comm: Text<'a>,
    #[serde(borrow, default)]
    pub exe: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub user: Option<Text<'a>>,
    #[serde(default)]
    pub start_boot_ns: Option<Number>,
    #[serde(borrow, default)]
    pub unit: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub container: Option<Container<'a>>,
}

/// A container.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "named after the fields of `model::process`")]
pub struct Container<'a> {
    #[serde(borrow)]
    pub id: Text<'a>,
    #[serde(borrow, default)]
    pub runtime: Option<Text<'a>>,
}

/// A process that has a descriptor.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "named after the field of `model::process`")]
pub struct Holder<'a> {
    #[serde(borrow)]
    pub process: Who<'a>,
}

/// An address and a port.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "named after the fields of `model::socket`")]
pub struct At<'a> {
    #[serde(borrow)]
    pub addr: Text<'a>,
    pub port: u16,
}

/// The socket of an attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "named after the field of `model::attempt`")]
pub struct Socket {
    #[serde(default)]
    pub cookie: Option<Number>,
}

/// A socket on the port.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "named after the fields of `model::attempt`")]
pub struct Blocker<'a> {
    pub state: State,
    #[serde(borrow)]
    pub local: At<'a>,
    #[serde(borrow, default)]
    pub remote: Option<At<'a>>,
    #[serde(default)]
    pub inode: Option<u64>,
    #[serde(default)]
    pub cookie: Option<Number>,
    #[serde(default)]
    pub since: Option<Moment>,
    #[serde(default)]
    pub expires_in_ms: Option<u64>,
    #[serde(default)]
    pub primary: bool,
    #[serde(default)]
    pub conflicts: Option<bool>,
    #[serde(default)]
    pub came_later: bool,
    #[serde(borrow, default)]
    pub owner: Option<Who<'a>>,
    #[serde(borrow, default)]
    pub holders: Vec<Holder<'a>>,
}

/// The sockets of a unix name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "named after the field of `model::holding`")]
pub struct UnixName<'a> {
    #[serde(borrow, default)]
    pub sockets: Vec<UnixSocket<'a>>,
}

/// A socket of a unix name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "named after the fields of `model::holding`")]
pub struct UnixSocket<'a> {
    pub listening: bool,
    pub inode: u64,
    #[serde(borrow, default)]
    pub holders: Vec<Holder<'a>>,
}

/// A verdict.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "named after the fields of `model::verdict`")]
pub struct Verdict<'a> {
    pub cause: Cause,
    pub confidence: Certainty,
    #[serde(borrow)]
    pub summary: Text<'a>,
    #[serde(borrow)]
    pub because: Text<'a>,
    #[serde(borrow, default)]
    pub remedies: Vec<Text<'a>>,
}

/// A spell of an episode.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "named after the fields of `model::episode`")]
pub struct Segment<'a> {
    pub cause: Option<Cause>,
    #[serde(borrow)]
    pub owner: Option<Who<'a>>,
    pub ms: u64,
    pub attempts: u64,
}

/// What made an address free.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "named after the fields of `model::episode`")]
pub struct Freed<'a> {
    pub how: FreedHow,
    pub time: Moment,
    #[serde(borrow)]
    pub owner: Option<Who<'a>>,
}

/// A line: what all have, and what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the fields of `model::record`")]
pub struct Line<'a> {
    pub seq: u64,
    pub time: i64,
    pub body: Body<'a>,
}

/// What a line is about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the fields of the model")]
pub enum Body<'a> {
    /// Whole: there is one in a file, and all of it tells whether a run goes on.
    Start {
        boot_ns: Big,
        start: Box<Start>,
    },
    Attempt(Box<Attempt<'a>>),
    Port {
        action: port::Action,
        proto: Proto,
        how: Option<port::How>,
        socket: Seen<'a>,
    },
    TimeWait {
        action: time_wait::Action,
        expires_in_ms: Option<u64>,
        lasted_ms: Option<u64>,
        socket: Seen<'a>,
    },
    Episode(Box<Episode<'a>>),
    Lost {
        kind: Text<'a>,
        count: u64,
        from: i64,
        to: i64,
    },
    Stop,
}

/// A socket that a record tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the fields of `model::port`")]
pub struct Seen<'a> {
    pub netns: u32,
    pub local: At<'a>,
    pub remote: Option<At<'a>>,
    pub owner: Option<Who<'a>>,
    pub since: Option<i64>,
    pub cookie: Option<u64>,
}

/// A call that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the fields of `model::attempt`")]
pub struct Attempt<'a> {
    pub op: Op,
    pub result: Text<'a>,
    pub proto: Proto,
    pub addr: Option<Text<'a>>,
    pub port: Option<u16>,
    pub bound_port: Option<u16>,
    pub netns: Option<u32>,
    pub process: Who<'a>,
    pub cookie: Option<u64>,
    pub blockers: Vec<Blocker<'a>>,
    pub unix: Option<UnixName<'a>>,
    pub verdict: Option<Verdict<'a>>,
    pub episode: Option<u64>,
}

/// An episode.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the fields of `model::episode`")]
pub struct Episode<'a> {
    pub id: u64,
    pub process: Who<'a>,
    pub proto: Proto,
    pub addr: Option<Text<'a>>,
    pub port: Option<u16>,
    pub netns: Option<u32>,
    pub first: i64,
    pub last: i64,
    pub attempts: u64,
    pub processes: u64,
    pub outcome: Outcome,
    pub blocked_ms: u64,
    pub by: Vec<Segment<'a>>,
    pub freed_by: Option<Freed<'a>>,
}

#[cfg(test)]
mod tests;
