//! Names of the unix family and the sockets bound to them.

use crate::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::process::Holder;

/// The name in the unix family that was refused, and who has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnixName {
    /// It is an abstract name, and no path.
    #[serde(rename = "abstract", default)]
    pub is_abstract: bool,
    /// What is at the path now; `None` for an abstract name, and where that cannot be seen.
    pub file: Option<FileKind>,
    /// Whether a process has a socket of this name open; of a path, one that is bound to this very file. `None` where that
    /// is not known.
    pub served: Option<bool>,
    /// The sockets that have the name, those that listen first.
    pub sockets: Vec<UnixSocket>,
}

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// A socket file.
    Socket,
    /// A directory, a regular file, or another kind that no socket has made.
    Other,
    /// Nothing (any more).
    Missing,
}

/// A socket of the unix family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnixSocket {
    /// It listens.
    pub listening: bool,
    /// Inode, as `/proc/PID/fd` shows it.
    pub inode: u64,
    /// Who has it open.
    pub holders: Vec<Holder>,
}
