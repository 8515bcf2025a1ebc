//! Keepers: what keeps a socket open without a descriptor.

use crate::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::process::Process;

/// A keeper: it keeps a socket open without a descriptor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Keeper {
    /// What it is.
    pub how: KeeperHow,
    /// Of [`KeeperHow::Message`] who can receive it; else who has not let go of it.
    pub process: Process,
    /// The thread whose call is under way.
    pub tid: Option<u32>,
    /// Of [`KeeperHow::Message`] the unix socket that it waits in; of [`KeeperHow::Call`] the number that the socket had; of
    /// [`KeeperHow::IoUring`] the ring.
    pub fd: Option<u32>,
    /// The system call that is under way.
    pub call: Option<String>,
    /// Who sent the message, where the kernel has kept it, and if it lives.
    pub sender: Option<Process>,
    /// Others keep it too: processes that have that unix socket or that ring, or other calls.
    #[serde(default)]
    pub shared: bool,
}

/// A reference that is no descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeeperHow {
    /// A message with the descriptor (`SCM_RIGHTS`) has not been received.
    Message,
    /// A system call that began before the descriptor was closed.
    Call,
    /// An `io_uring` has it registered, or a request of it under way.
    IoUring,
}
