//! The summary of a verdict, and the rule in words.

mod because;
pub(super) mod name;
mod summary;

pub(super) use because::because;
pub(super) use summary::summary;

/// Nothing can be compared without its rule.
pub(super) const OTHER_PROTOCOL: &str =
    "the rules of TCP and UDP are known to portwatch, those of this protocol are not";

/// Nothing can be compared without the request.
pub(super) const UNREAD: &str = "the address or port that was asked for could not be read, so no socket could be compared with it";

/// Milliseconds as whole seconds, rounded up: when they have passed, so has the time.
pub(super) const fn seconds(ms: u64) -> u64 {
    ms.div_ceil(1000)
}
