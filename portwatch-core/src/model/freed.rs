//! What made an address free.

use crate::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{process::Process, socket::Address};

/// What made an address free.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Freed {
    /// What happened.
    pub how: FreedHow,
    /// When: RFC 3339.
    pub time: String,
    /// Whose socket it was.
    pub owner: Option<Process>,
    /// Where it was bound.
    pub local: Address,
    /// Where it was connected.
    pub remote: Option<Address>,
}

/// What happens to a socket that blocked an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FreedHow {
    /// Its process ended.
    Exited,
    /// It was closed by a process that lives on, or whose end was not seen.
    Closed,
    /// Its `TIME_WAIT` was over.
    TimeWaitOver,
}
