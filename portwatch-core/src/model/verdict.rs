//! The verdict on a failure.

use crate::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A cause. The ids never change their meaning; `docs/causes.md` explains each.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
#[expect(
    missing_docs,
    reason = "the ids are explained in one place, docs/causes.md"
)]
pub enum Cause {
    LiveListener,
    SameService,
    SelfConflict,
    BoundNotListening,
    ListenRace,
    WildcardOverlap,
    DualStack,
    TimeWait,
    EphemeralPort,
    EphemeralTimeWait,
    SelfConnect,
    OrphanConnection,
    LingeringConnection,
    InheritedDescriptor,
    DescriptorInFlight,
    PendingRelease,
    SocketActivation,
    PortProxy,
    ReuseportUid,
    ReuseportMissing,
    KernelSocket,
    EphemeralExhausted,
    UnixPath,
    UnixAbstract,
    ReleasedJustNow,
    Policy,
    Unknown,
    PrivilegedPort,
    AddressNotLocal,
    AlreadyBound,
}

impl Cause {
    /// All of them, in the order of `docs/causes.md`.
    pub const ALL: &[Self] = &[
        Self::LiveListener,
        Self::SameService,
        Self::SelfConflict,
        Self::BoundNotListening,
        Self::ListenRace,
        Self::WildcardOverlap,
        Self::DualStack,
        Self::TimeWait,
        Self::EphemeralPort,
        Self::EphemeralTimeWait,
        Self::SelfConnect,
        Self::OrphanConnection,
        Self::LingeringConnection,
        Self::InheritedDescriptor,
        Self::DescriptorInFlight,
        Self::PendingRelease,
        Self::SocketActivation,
        Self::PortProxy,
        Self::ReuseportUid,
        Self::ReuseportMissing,
        Self::KernelSocket,
        Self::EphemeralExhausted,
        Self::UnixPath,
        Self::UnixAbstract,
        Self::ReleasedJustNow,
        Self::Policy,
        Self::Unknown,
        Self::PrivilegedPort,
        Self::AddressNotLocal,
        Self::AlreadyBound,
    ];

    /// The id.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LiveListener => "live-listener",
            Self::SameService => "same-service",
            Self::SelfConflict => "self-conflict",
            Self::BoundNotListening => "bound-not-listening",
            Self::ListenRace => "listen-race",
            Self::WildcardOverlap => "wildcard-overlap",
            Self::DualStack => "dual-stack",
            Self::TimeWait => "time-wait",
            Self::EphemeralPort => "ephemeral-port",
            Self::EphemeralTimeWait => "ephemeral-time-wait",
            Self::SelfConnect => "self-connect",
            Self::OrphanConnection => "orphan-connection",
            Self::LingeringConnection => "lingering-connection",
            Self::InheritedDescriptor => "inherited-descriptor",
            Self::DescriptorInFlight => "descriptor-in-flight",
            Self::PendingRelease => "pending-release",
            Self::SocketActivation => "socket-activation",
            Self::PortProxy => "port-proxy",
            Self::ReuseportUid => "reuseport-uid",
            Self::ReuseportMissing => "reuseport-missing",
            Self::KernelSocket => "kernel-socket",
            Self::EphemeralExhausted => "ephemeral-exhausted",
            Self::UnixPath => "unix-path",
            Self::UnixAbstract => "unix-abstract",
            Self::ReleasedJustNow => "released-just-now",
            Self::Policy => "policy",
            Self::Unknown => "unknown",
            Self::PrivilegedPort => "privileged-port",
            Self::AddressNotLocal => "address-not-local",
            Self::AlreadyBound => "already-bound",
        }
    }
}

/// How sure it is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// From history, or by exclusion; not from the kernel's tables at that moment.
    Inferred,
    /// From a walk of the kernel's bind table just after the refusal.
    Walked,
    /// From the kernel's own decision: the comparison that it made under its lock, or what its function returned.
    Exact,
}

/// Why one pair of sockets conflicts, or does not: the clause of the kernel's rule that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Clause {
    /// Allowed: both are bound to different devices.
    DevicesDiffer,
    /// Allowed: the addresses do not overlap.
    AddressesDiffer,
    /// Allowed: the binder forces reuse (`TCP_REPAIR`).
    ForcedReuse,
    /// Allowed: `SO_REUSEADDR` on both, and the other does not listen (TCP).
    BothReuseAddr,
    /// Allowed: `SO_REUSEPORT` on both, by the same user or against `TIME_WAIT`.
    BothReusePort,
    /// Conflict: the other socket listens, and `SO_REUSEPORT` is not set on both.
    Listening,
    /// Conflict: `SO_REUSEADDR` is not set on the binder.
    BinderLacksReuseAddr,
    /// Conflict: `SO_REUSEADDR` is not set on the other socket.
    OtherLacksReuseAddr,
    /// Conflict: `SO_REUSEADDR` is set on neither.
    NeitherReuseAddr,
    /// Conflict: `SO_REUSEPORT` on both, but their users differ.
    UsersDiffer,
    /// Conflict: `SO_REUSEPORT` on both, but the binder already has a reuseport group or program.
    BinderHasReusePortGroup,
    /// Conflict: the kernel picks a free port, and every overlapping socket makes a port not free.
    PortNotFree,
    /// Undecided: a fact that decides could not be read.
    Undecided,
}

/// The verdict on a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// What to act on first.
    pub cause: Cause,
    /// What else is true.
    pub also: Vec<Cause>,
    /// How sure it is.
    pub confidence: Certainty,
    /// One line.
    pub summary: String,
    /// The kernel's rule in words.
    pub because: String,
    /// What to do about it; each is confirmed by the rule for these sockets.
    pub remedies: Vec<String>,
    /// What would have made this very call succeed; each is confirmed by the rule for these sockets.
    pub would_succeed_if: Vec<String>,
}
