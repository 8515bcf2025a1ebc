//! Boot time to wall clock and back: the kernel stamps events in nanoseconds since boot, people read the wall clock.

use std::io;

use jiff::Timestamp;
use nix::time::{ClockId, clock_getres, clock_gettime};

/// How far the wall clock was ahead of the time since boot when both were read.
///
/// The wall clock can be set while portwatch runs: take a new sample now and then, events that are already converted
/// keep their time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    ahead_ns: i128,
}

impl Clock {
    /// Reads both clocks.
    ///
    /// # Errors
    ///
    /// When the kernel has no such clock (`CLOCK_BOOTTIME` is there since Linux 2.6.39).
    pub fn now() -> io::Result<Self> {
        // The task may be preempted between the two reads: of a few tries, the quickest is the truest.
        let mut best: Option<(u64, Self)> = None;
        for _ in 0..4 {
            let before = boot_now()?;
            let wall = nanoseconds(ClockId::CLOCK_REALTIME)?;
            let took = boot_now()?.saturating_sub(before);
            if best.is_none_or(|(quickest, _)| took < quickest) {
                best = Some((took, Self::from_sample(before + took / 2, wall)));
            }
        }
        best.map(|(_, clock)| clock)
            .ok_or_else(|| io::Error::other("no clock sample"))
    }

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

/// `CLOCK_BOOTTIME`: nanoseconds since boot, suspend included; what the kernel side stamps its records with.
///
/// # Errors
///
/// When the kernel has no such clock.
pub fn boot_now() -> io::Result<u64> {
    nanoseconds(ClockId::CLOCK_BOOTTIME).map(|ns| u64::try_from(ns).unwrap_or(0))
}

/// How long the machine has been suspended since it booted, in ns. The kernel's timers stood still meanwhile.
///
/// # Errors
///
/// When the kernel has no such clock.
pub fn suspended() -> io::Result<u64> {
    let running = nanoseconds(ClockId::CLOCK_MONOTONIC)?;
    let all = nanoseconds(ClockId::CLOCK_BOOTTIME)?;
    Ok(u64::try_from(all - running).unwrap_or(0))
}

/// Frequency of the kernel's clock tick (`CONFIG_HZ`): a coarse clock is as fine as the tick (`posix_get_coarse_res`).
/// `sysconf(_SC_CLK_TCK)` is `USER_HZ`, which is not it.
///
/// # Errors
///
/// When the kernel has no such clock.
pub fn ticks_per_second() -> io::Result<u64> {
    let tick = clock_getres(ClockId::CLOCK_MONOTONIC_COARSE)?;
    Ok(frequency(tick.tv_nsec().cast_unsigned()))
}

/// How often a tick of so many nanoseconds fits into a second. The kernel has rounded it to whole nanoseconds.
fn frequency(tick_ns: u64) -> u64 {
    (1_000_000_000 + tick_ns / 2) / tick_ns.max(1)
}

fn nanoseconds(clock: ClockId) -> io::Result<i128> {
    let time = clock_gettime(clock)?;
    Ok(i128::from(time.tv_sec()) * 1_000_000_000 + i128::from(time.tv_nsec()))
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

    #[test]
    fn ticks_are_counted_as_the_kernel_was_built() {
        // TICK_NSEC of include/vdso/jiffies.h.
        for hz in [24, 100, 250, 300, 1000, 1024] {
            assert_eq!(frequency((1_000_000_000 + hz / 2) / hz), hz);
        }
        assert!((24..=1200).contains(&ticks_per_second().unwrap()));
    }

    #[test]
    fn a_live_sample_lies_between_two_readings_of_the_wall_clock() {
        let before = Timestamp::now();
        let clock = Clock::now().unwrap();
        let now = clock.wall(boot_now().unwrap());
        // A clock step during the test would break this; slewing cannot reach a second.
        let second = jiff::SignedDuration::from_secs(1);
        assert!(
            now >= before - second && now <= Timestamp::now() + second,
            "{now}"
        );
    }
}
