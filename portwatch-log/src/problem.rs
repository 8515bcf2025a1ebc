//! What is not a record, and how often it was met.

use std::{collections::BTreeMap, fmt};

use crate::json::LineError;
use portwatch_core::{model::record::SCHEMA, words::escape::escape};

/// Something in a log that is not a record, or that a log lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The last line has no end.
    CutOff,
    /// The line is not whole JSON.
    Damaged {
        /// What the parser says.
        why: String,
    },
    /// The line is not UTF-8.
    NotUtf8 {
        /// Number of the first byte that is none, from 1.
        byte: usize,
    },
    /// The line is longer than any record.
    TooLong,
    /// JSON, but not portwatch's.
    Foreign,
    /// A record of another schema.
    Schema {
        /// Which.
        found: u32,
    },
    /// A record of a type that this version does not know.
    Type {
        /// Which.
        found: String,
    },
    /// A record with a value that this version does not know, or without a field that it needs.
    Unreadable {
        /// What the parser says.
        why: String,
        /// The version that wrote it, where that is another one.
        version: Option<String>,
    },
    /// The log ends, or another run begins, without a `stop` record. No line is lost by that.
    NoStop,
    /// Reading failed, and the file is read no further.
    Io {
        /// Why.
        why: String,
    },
}

/// How problems are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A last line without an end.
    CutOff,
    /// Not whole JSON, not UTF-8, or too long.
    Damaged,
    /// JSON of another tool.
    Foreign,
    /// Of another schema, or with a type or value of another version.
    OtherVersion,
}

impl Problem {
    /// What is wrong with a line.
    pub(super) fn of(error: &LineError) -> Self {
        let say = |error: &serde_json::Error| {
            // Every line is the parser's first.
            let why = error.to_string().replace(" at line 1 column ", " at byte ");
            escape(&why).to_string()
        };
        match error {
            LineError::Malformed(error) if error.is_data() => Self::Unreadable {
                why: say(error),
                version: None,
            },
            LineError::Malformed(error) => Self::Damaged { why: say(error) },
            LineError::Foreign(_) => Self::Foreign,
            LineError::Schema { found } => Self::Schema { found: *found },
            LineError::Type { found } => Self::Type {
                found: found.clone(),
            },
        }
    }

    /// How it is counted; `None` where no line was skipped.
    #[must_use]
    pub const fn kind(&self) -> Option<Kind> {
        match self {
            Self::CutOff => Some(Kind::CutOff),
            Self::Damaged { .. } | Self::NotUtf8 { .. } | Self::TooLong => Some(Kind::Damaged),
            Self::Foreign => Some(Kind::Foreign),
            Self::Schema { .. } | Self::Type { .. } | Self::Unreadable { .. } => {
                Some(Kind::OtherVersion)
            }
            Self::NoStop | Self::Io { .. } => None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutOff => f.write_str(
                "the last line is cut off (portwatch or the machine was stopped while writing it, or it is being \
                 written); skipped",
            ),
            Self::Damaged { why } => write!(f, "the line is damaged: {why}; skipped"),
            Self::NotUtf8 { byte } => {
                write!(f, "the line is damaged: byte {byte} is not UTF-8; skipped")
            }
            Self::TooLong => f.write_str("the line is longer than any record; skipped"),
            Self::Foreign => f.write_str("not a record of portwatch; skipped"),
            Self::Schema { found } if *found > SCHEMA => write!(
                f,
                "a record of schema {found}, and this portwatch reads schema {SCHEMA}: use the version that wrote \
                 it, or a newer one; skipped"
            ),
            Self::Schema { found } => write!(
                f,
                "a record of schema {found}, and this portwatch reads schema {SCHEMA}; skipped"
            ),
            Self::Type { found } => write!(
                f,
                "a record of type {:?}, which this version of portwatch does not know; skipped",
                escape(found).to_string()
            ),
            Self::Unreadable { why, version } => {
                write!(f, "a record that this version of portwatch cannot read: {why}")?;
                if let Some(version) = version {
                    write!(f, " (portwatch {} wrote it)", escape(version))?;
                }
                f.write_str("; skipped")
            }
            Self::NoStop => f.write_str(
                "no `stop` record ends this run: portwatch or the machine was stopped before, or it is still tracing",
            ),
            Self::Io { why } => write!(f, "cannot read on: {why}"),
        }
    }
}

/// What was found in a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records.
    pub records: u64,
    /// Lines that were skipped.
    pub skipped: BTreeMap<Kind, u64>,
    /// Files that could not be read to their end.
    pub unread: u64,
}

impl Tally {
    /// Counts a problem.
    pub fn problem(&mut self, problem: &Problem) {
        if let Some(kind) = problem.kind() {
            *self.skipped.entry(kind).or_default() += 1;
        }
        self.unread += u64::from(matches!(problem, Problem::Io { .. }));
    }

    /// How many lines were skipped, and why; `None` if none was.
    #[must_use]
    pub fn skipped(&self) -> Option<String> {
        let total: u64 = self.skipped.values().sum();
        let lines = if total == 1 { "line" } else { "lines" };
        let parts: Vec<String> = self
            .skipped
            .iter()
            .map(|(kind, count)| {
                let what = match kind {
                    Kind::CutOff => "cut off",
                    Kind::Damaged => "damaged",
                    Kind::Foreign => "not of portwatch",
                    Kind::OtherVersion => "of another version",
                };
                format!("{count} {what}")
            })
            .collect();
        (total > 0).then(|| format!("{total} {lines} skipped: {}", parts.join(", ")))
    }
}
