//! The episode of one program and one address: its failures, who blocked it for how long, and how it ended.

use crate::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{freed::Freed, process::Process, socket::Proto, verdict::Cause};

/// How an episode ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It got the address.
    Bound,
    /// It has not tried again: its last process has ended, or has not tried for long.
    GaveUp,
    /// It may try again, or its end could not be seen.
    Open,
}

impl Outcome {
    /// As JSON spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bound => "bound",
            Self::GaveUp => "gave_up",
            Self::Open => "open",
        }
    }
}

/// An episode, told when it ends or when tracing does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Episode {
    /// What its attempts have in `episode`.
    pub id: u64,
    /// Who tried, the last time.
    pub process: Process,
    /// Protocol.
    pub proto: Proto,
    /// The address as requested; for the unix family the path.
    pub addr: Option<String>,
    /// The port as requested.
    pub port: Option<u16>,
    /// Inode of the socket's network namespace.
    pub netns: Option<u32>,
    /// The first failure: RFC 3339.
    pub first: String,
    /// The last attempt, be it the one that succeeded: RFC 3339.
    pub last: String,
    /// Failures, and the success if there was one.
    pub attempts: u64,
    /// Different processes that tried: at least so many.
    pub processes: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// From the first failure to the last attempt.
    pub blocked_ms: u64,
    /// Who blocked it, in sequence.
    pub by: Vec<Segment>,
    /// Spells of `by` that were left out for room: their time is in `blocked_ms`.
    pub by_omitted: u64,
    /// What made the address free, as far as it was seen; `None` unless it was bound.
    pub freed_by: Option<Freed>,
}

/// A time during which one cause and one owner blocked it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Segment {
    /// The cause; `None` of a failure without a verdict.
    pub cause: Option<Cause>,
    /// Whose socket it was; `None` where nobody can be named.
    pub owner: Option<Process>,
    /// How long: from its first failure to the next one that has another cause or owner, or to the last attempt.
    pub ms: u64,
    /// Failures.
    pub attempts: u64,
}
