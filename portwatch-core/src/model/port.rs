//! Who gets a watched port, and who gives it back.

use crate::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    number::Big,
    process::Owner,
    socket::{Address, Proto},
};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "PortAction")]
pub enum Action {
    /// A socket has the port from now on.
    Taken,
    /// The socket has it no longer.
    Released,
}

/// How a socket got the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// By `bind()`, or by `listen()` without it.
    Bind,
    /// `connect()` picked it as source port.
    Connect,
    /// As the connection of a listener that has the port, too.
    Accept,
}

impl How {
    /// As JSON and text spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bind => "bind",
            Self::Connect => "connect",
            Self::Accept => "accept",
        }
    }
}

/// What a release leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "PortReason")]
pub enum Reason {
    /// Nothing: the socket was closed, and this was all that it had of the port.
    Closed,
    /// Its `TIME_WAIT`, which keeps the port.
    TimeWait,
}

/// A watched port was taken or released by a socket. Other sockets may have it as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Port {
    /// What happened.
    pub action: Action,
    /// Protocol.
    pub proto: Proto,
    /// The port, and the address that the socket is bound to.
    pub local: Address,
    /// Whom it is connected to.
    pub remote: Option<Address>,
    /// Inode of its network namespace.
    pub netns: u32,
    /// How it got the port.
    pub how: Option<How>,
    /// Whose socket it is.
    pub owner: Option<Owner>,
    /// Of a [`Action::Released`]: when the socket had got the port, RFC 3339; `None` where that was not seen.
    #[serde(default)]
    pub since: Option<String>,
    /// Of a [`Action::Released`]: what is left of it. `None` where `TIME_WAIT`s are not seen.
    pub reason: Option<Reason>,
    /// The socket's cookie; `None` while the kernel has given it none.
    pub cookie: Option<Big>,
    /// Told from a change of state, which comes shortly after what it tells.
    pub inferred: bool,
}
