//! Records as JSON: one object a line, in a stable order of fields; `docs/records.md` explains them.

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::{Value, ser::Formatter};
use thiserror::Error;

use portwatch_core::model::{
    attempt::{Attempt, Failure},
    number::Big,
    record::{Body, Record, SCHEMA},
};
use portwatch_core::words::escape::is_unsafe;

/// Appends `record` to `out` as one line, its newline included.
///
/// Safe to show on a terminal: JSON itself escapes the C0 controls, and the other characters that
/// [`is_unsafe`] names are written as `\uXXXX`, so `cat log.jsonl` cannot be turned against the reader.
pub fn to_line(record: &Record, out: &mut Vec<u8>) {
    let start = out.len();
    let result = match &record.body {
        Body::Start(body) => write(record, "start", body, out),
        Body::Attempt(body) => write(record, "attempt", body, out),
        Body::Port(body) => write(record, "port", body, out),
        Body::TimeWait(body) => write(record, "time_wait", body, out),
        Body::Episode(body) => write(record, "episode", body, out),
        Body::Lost(body) => write(record, "lost", body, out),
        Body::Stop(body) => write(record, "stop", body, out),
    };
    // Writing to memory cannot fail, and every key of the model is a string: an error here is a fault of the model's,
    // which must not put half a line into a log.
    debug_assert!(result.is_ok(), "{result:?}");
    if result.is_err() {
        out.truncate(start);
    } else {
        out.push(b'\n');
    }
}

/// Any value in one line, as safe to show as a record.
#[must_use]
pub fn to_text(value: &Value) -> String {
    let mut text = Vec::new();
    // Writing to memory does not fail, and neither does a value that is JSON already.
    let result = value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, Safe));
    debug_assert!(result.is_ok(), "{result:?}");
    String::from_utf8_lossy(&text).into_owned()
}

/// Reads a line that [`to_line`] wrote, with or without its newline.
///
/// # Errors
///
/// When it is not a whole record, or one of a schema or type that this version does not know.
pub fn from_line(line: &str) -> Result<Record, LineError> {
    #[derive(Deserialize)]
    struct Kind {
        schema: u32,
        r#type: String,
    }
    #[derive(Deserialize)]
    struct Head {
        seq: u64,
        time: String,
        boot_ns: Big,
    }

    // The schema first: nothing else of another version's line can be relied on.
    let Kind { schema, r#type } = serde_json::from_str(line).map_err(|error| {
        if error.is_data() {
            LineError::Foreign(error)
        } else {
            LineError::Malformed(error)
        }
    })?;
    if schema != SCHEMA {
        return Err(LineError::Schema { found: schema });
    }
    let body = match r#type.as_str() {
        "start" => Body::Start(serde_json::from_str(line)?),
        "attempt" => Body::Attempt(attempt(line)?),
        "port" => Body::Port(serde_json::from_str(line)?),
        "time_wait" => Body::TimeWait(serde_json::from_str(line)?),
        "episode" => Body::Episode(serde_json::from_str(line)?),
        "lost" => Body::Lost(serde_json::from_str(line)?),
        "stop" => Body::Stop(serde_json::from_str(line)?),
        _ => return Err(LineError::Type { found: r#type }),
    };
    let Head { seq, time, boot_ns } = serde_json::from_str(line)?;
    Ok(Record {
        seq,
        time,
        boot_ns,
        body,
    })
}

/// Why a line is not a record.
#[derive(Debug, Error)]
pub enum LineError {
    /// Not JSON, cut off, or a field is missing or has an impossible value.
    #[error("not a record of portwatch: {0}")]
    Malformed(#[from] serde_json::Error),
    /// JSON, but not an object that says which schema and type of record it is.
    #[error("not a record of portwatch: {0}")]
    Foreign(serde_json::Error),
    /// Written by another version.
    #[error("the record has schema {found}, this version of portwatch reads schema {SCHEMA}")]
    Schema {
        /// Its schema number.
        found: u32,
    },
    /// A type that later versions may have added. A reader may skip such a line.
    #[error("unknown type of record {found:?}")]
    Type {
        /// The type.
        found: String,
    },
}

fn attempt(line: &str) -> Result<Box<Attempt>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Probe {
        #[serde(default)]
        blockers: Option<serde::de::IgnoredAny>,
    }

    let attempt: Box<Attempt> = serde_json::from_str(line)?;
    // A flattened `Option` turns any error inside into `None`: the failure would silently vanish.
    if attempt.failure.is_none() {
        let probe: Probe = serde_json::from_str(line)?;
        if probe.blockers.is_some() {
            serde_json::from_str::<Failure>(line)?;
        }
    }
    Ok(attempt)
}

fn write<T: Serialize>(
    record: &Record,
    r#type: &'static str,
    body: &T,
    out: &mut Vec<u8>,
) -> Result<(), serde_json::Error> {
    #[derive(Serialize)]
    struct Line<'a, T> {
        schema: u32,
        r#type: &'static str,
        seq: u64,
        time: &'a str,
        boot_ns: Big,
        #[serde(flatten)]
        body: &'a T,
    }

    let Record {
        seq,
        time,
        boot_ns,
        body: _,
    } = record;
    let line = Line {
        schema: SCHEMA,
        r#type,
        seq: *seq,
        time,
        boot_ns: *boot_ns,
        body,
    };
    line.serialize(&mut serde_json::Serializer::with_formatter(out, Safe))
}

/// Compact JSON that escapes what a terminal must not see.
struct Safe;

impl Formatter for Safe {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(is_unsafe) {
            let (safe, tail) = rest.split_at(at);
            writer.write_all(safe.as_bytes())?;
            let mut chars = tail.chars();
            if let Some(c) = chars.next() {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
            rest = chars.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests;
