//! Proxies: holders on behalf of somebody else.

use crate::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::process::Container;

/// Whom a process has a socket for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Proxy {
    /// What the holder is.
    pub role: Role,
    /// Where it passes connections on, as its arguments say: an address, a host, a pod.
    pub target: Option<String>,
    /// The container behind it.
    pub container: Option<Container>,
    /// The unit that it holds the socket for.
    pub unit: Option<String>,
}

/// What a process is that has sockets for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It starts a service when somebody connects, and hands the socket on.
    ServiceManager,
    /// It relays connections to a container, a pod or another host.
    PortProxy,
}
