//! A line of the log.

use crate::prelude::*;
use alloc::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    attempt::Attempt, episode::Episode, number::Big, port::Port, time_wait::TimeWait,
    verdict::Cause,
};

/// Version of the records. A change that breaks a reader raises it.
pub const SCHEMA: u32 = 1;

/// A record: what every line has, and what it is about.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
pub struct Record {
    /// Position in the log, from 1. The order of events; times may step back between CPUs. Where records could not be
    /// written, numbers are missing, and a `lost` record has the last of them. The `start` record of a file that goes on
    /// with what another one began has the number of the record before it.
    pub seq: u64,
    /// Wall clock: RFC 3339, UTC, nanoseconds.
    pub time: String,
    /// Nanoseconds since boot.
    pub boot_ns: Big,
    /// The rest.
    #[schemars(flatten)]
    pub body: Body,
}

/// What a record is about.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case")]
pub enum Body {
    /// First in every file: what is traced, and what cannot be known.
    Start(Box<Start>),
    /// A bind or listen attempt.
    Attempt(Box<Attempt>),
    /// A watched port was taken or released.
    Port(Box<Port>),
    /// A `TIME_WAIT` of a watched port began, was re-armed or ended.
    TimeWait(Box<TimeWait>),
    /// An episode has ended, or tracing has.
    Episode(Box<Episode>),
    /// Something was lost.
    Lost(Lost),
    /// Last: totals.
    Stop(Stop),
}

/// First in every file of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Start {
    /// Version of portwatch.
    pub version: String,
    /// Host name.
    pub host: String,
    /// Changes with every boot: `boot_ns` of two logs compare only when it is the same.
    pub boot_id: Option<String>,
    /// Kernel release.
    pub kernel: String,
    /// Machine architecture.
    pub arch: String,
    /// Inode of the host's own network namespace: that of the first process, or where it cannot be seen portwatch's.
    #[serde(default)]
    pub netns: Option<u32>,
    /// What is seen, and through what.
    pub hooks: BTreeMap<String, Hook>,
    /// What cannot be known here, and why.
    pub degraded: Vec<Degradation>,
    /// Filters in force.
    pub filters: Filters,
}

/// A capability and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hook {
    /// `fexit`, `tracepoint`, `iterator`, `proc`.
    pub tier: String,
    /// How sure it is: `exact`, `walked` (looked up shortly after), `inferred` (told from other events).
    pub level: String,
    /// Attach points.
    pub attached: Vec<String>,
}

/// A fact that is not available.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Degradation {
    /// Short name of what is lost.
    pub what: String,
    /// Why.
    pub why: String,
}

/// Filters, as the user gave them; `None` and empty mean everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Filters {
    /// Ports and ranges.
    pub ports: Vec<[u16; 2]>,
    /// Protocols.
    pub proto: Vec<String>,
    /// Process.
    pub pid: Option<u32>,
    /// Name.
    pub comm: Option<String>,
    /// Failures only.
    pub failures: bool,
}

/// Something was lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lost {
    /// What: `attempt`; `process` (what it is); `port` (records of ports and of `TIME_WAIT`s); `entry` (of a call: it is
    /// reported without its address); `output` (records that could not be written).
    pub kind: String,
    /// How many.
    pub count: u64,
    /// Not before: RFC 3339.
    pub from: String,
    /// Not after: RFC 3339.
    pub to: String,
}

/// Last in every log. `seen == submitted + lost + filtered`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stop {
    /// Attempts that ended while tracing.
    pub seen: u64,
    /// Attempts handed over by the kernel.
    pub submitted: u64,
    /// Attempts for which there was no room.
    pub lost: u64,
    /// Attempts that the filters left out.
    pub filtered: u64,
    /// Runs of a hook that the kernel itself skipped; `None` where it keeps no count.
    pub missed: Option<u64>,
    /// Failures with `EADDRINUSE`, by cause, and other failures with a verdict.
    pub failures: BTreeMap<Cause, u64>,
    /// What was dropped for room: by kind.
    pub evicted: BTreeMap<String, u64>,
}
