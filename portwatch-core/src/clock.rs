//! Boot time to wall clock: the kernel stamps events in nanoseconds since boot, people read the wall clock.

use jiff::Timestamp;

use crate::prelude::*;

/// How far the wall clock was ahead of the time since boot when both were read.
///
/// The wall clock can be set while portwatch runs: take a new sample now and then, events that are already converted
/// keep their time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    ahead_ns: i128,
}

impl Clock {
    /// A clock that read `boot_ns` nanoseconds since boot when the wall clock was `wall_ns` nanoseconds after 1970.
    #[must_use]
    pub const fn from_sample(boot_ns: u64, wall_ns: i128) -> Self {
        Self {
            ahead_ns: wall_ns - boot_ns as i128,
        }
    }

    /// The wall clock at `boot_ns` nanoseconds since boot; the nearest representable time outside the years that have
    /// four digits.
    #[must_use]
    pub fn wall(self, boot_ns: u64) -> Timestamp {
        let ns = i128::from(boot_ns) + self.ahead_ns;
        Timestamp::from_nanosecond(ns).unwrap_or(if ns < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        })
    }

    /// [`Clock::wall`], as records spell it.
    #[must_use]
    pub fn rfc3339(self, boot_ns: u64) -> String {
        rfc3339(self.wall(boot_ns))
    }
}

/// RFC 3339 in UTC, always with nine digits of fraction.
#[must_use]
pub fn rfc3339(time: Timestamp) -> String {
    format!("{time:.9}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i128 = 1_795_262_400_000_000_000;

    #[test]
    fn boot_time_maps_to_wall_clock() {
        let clock = Clock::from_sample(5_000_000_000, NOON);
        assert_eq!(
            clock.rfc3339(5_000_000_000),
            "2026-11-21T12:00:00.000000000Z"
        );
        assert_eq!(
            clock.rfc3339(6_118_000_001),
            "2026-11-21T12:00:01.118000001Z"
        );
        assert_eq!(clock.rfc3339(0), "2026-11-21T11:59:55.000000000Z");
    }

    #[test]
    fn times_out_of_range_do_not_panic() {
        assert_eq!(
            Clock::from_sample(0, i128::from(i64::MAX) * 1000).wall(u64::MAX),
            Timestamp::MAX
        );
        assert_eq!(
            Clock::from_sample(u64::MAX, i128::from(i64::MIN) * 1000).wall(0),
            Timestamp::MIN
        );
    }
}
