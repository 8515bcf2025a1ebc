//! What becomes of a `TIME_WAIT` of a watched port.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    number::Big,
    process::Owner,
    socket::{Address, State},
};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "TimeWaitAction")]
pub enum Action {
    /// A connection has ended and keeps its port.
    Enter,
    /// Its timer was set again.
    Rearm,
    /// It is over.
    Leave,
}

/// Why it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "TimeWaitReason")]
pub enum Reason {
    /// Its time was over.
    Expired,
    /// A new connection between the same two addresses took its place.
    Reused,
    /// It was ended from outside: by a reset, by an administrator, or with its network namespace.
    Killed,
}

/// How a new connection took its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReusedBy {
    /// The peer connected again.
    Syn,
    /// This side connected again (`net.ipv4.tcp_tw_reuse`).
    Connect,
}

/// The beginning, the re-arming or the end of a `TIME_WAIT`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimeWait {
    /// What happened.
    pub action: Action,
    /// The port that it keeps.
    pub local: Address,
    /// Whom it was connected to.
    pub remote: Address,
    /// Inode of its network namespace.
    pub netns: u32,
    /// `time_wait`, or `fin_wait2` while it waits for the peer's FIN; of a [`Action::Leave`] the last that was seen.
    pub substate: Option<State>,
    /// What its timer was set to; of an inferred [`Action::Rearm`] what was left of it. `None` of a [`Action::Leave`].
    pub expires_in_ms: Option<u64>,
    /// Of a [`Action::Leave`]: how long it lasted, an upper bound if inferred. `None` when its beginning was not seen.
    pub lasted_ms: Option<u64>,
    /// Who left it.
    pub owner: Option<Owner>,
    /// Of a [`Action::Leave`]: why.
    pub reason: Option<Reason>,
    /// Of [`Reason::Reused`]: how.
    pub reused_by: Option<ReusedBy>,
    /// Cookie, which it has from its connection; `None` while the kernel has given it none.
    pub cookie: Option<Big>,
    /// Concluded from something else that was seen, and not told by the function of the kernel that did it.
    pub inferred: bool,
}
