//! The machine's clocks.

use std::io;

use nix::time::{ClockId, clock_getres, clock_gettime};
use portwatch_core::clock::Clock;

/// Reads both clocks.
///
/// # Errors
///
/// When the kernel has no such clock (`CLOCK_BOOTTIME` is there since Linux 2.6.39).
pub fn sample() -> io::Result<Clock> {
    // The task may be preempted between the two reads: of a few tries, the quickest is the truest.
    let mut best: Option<(u64, Clock)> = None;
    for _ in 0..4 {
        let before = boot_now()?;
        let wall = nanoseconds(ClockId::CLOCK_REALTIME)?;
        let took = boot_now()?.saturating_sub(before);
        if best.is_none_or(|(quickest, _)| took < quickest) {
            best = Some((took, Clock::from_sample(before + took / 2, wall)));
        }
    }
    best.map(|(_, clock)| clock)
        .ok_or_else(|| io::Error::other("no clock sample"))
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
    use jiff::Timestamp;

    use super::*;

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
        let clock = sample().unwrap();
        let now = clock.wall(boot_now().unwrap());
        // A clock step during the test would break this; slewing cannot reach a second.
        let second = jiff::SignedDuration::from_secs(1);
        assert!(
            now >= before - second && now <= Timestamp::now() + second,
            "{now}"
        );
    }
}
