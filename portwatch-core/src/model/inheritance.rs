//! How a socket came from the process that bound it to its holder.

use crate::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::process::Process;

/// How a socket came from the process that bound it to one that has it open now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Inheritance {
    /// Who bound it, named as it was called then.
    pub from: Process,
    /// Whether that process lives; `None` when that is not known.
    pub from_alive: Option<bool>,
    /// Who has it open now.
    pub to: Process,
    /// From the one to the other, in order; never empty.
    pub steps: Vec<Step>,
}

/// A fork or an exec that carried a descriptor on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// What it was.
    pub how: Via,
    /// When: RFC 3339.
    pub time: String,
    /// Of a fork the child, of an exec the process.
    pub pid: u32,
    /// Its name after that.
    pub comm: String,
    /// Its executable after that.
    pub exe: Option<String>,
}

/// What carries a descriptor on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// A child has every descriptor of its parent.
    Fork,
    /// What is not close-on-exec stays open.
    Exec,
}
