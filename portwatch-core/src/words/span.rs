//! Lengths of time, short enough for a line.

use crate::prelude::*;

/// A length of time in its two largest units, rounded down: `3 d 4 h`, `3 m 20 s`, `41 s`, `3.2 s`, `480 ms`.
#[must_use]
pub fn span(ns: u64) -> String {
    const MS: u64 = 1_000_000;
    const S: u64 = 1000 * MS;
    const M: u64 = 60 * S;
    const H: u64 = 60 * M;
    const D: u64 = 24 * H;
    let two = |large: u64, name: &str, small: u64, small_name: &str| {
        let rest = ns % large / small;
        if rest == 0 {
            format!("{} {name}", ns / large)
        } else {
            format!("{} {name} {rest} {small_name}", ns / large)
        }
    };
    match ns {
        D.. => two(D, "d", H, "h"),
        H.. => two(H, "h", M, "m"),
        // Up to two minutes in seconds: a TIME_WAIT of 60 s is better known than one of 1 m.
        ns if ns >= 2 * M => two(M, "m", S, "s"),
        ns if ns >= 10 * S => format!("{} s", ns / S),
        S.. => format!("{}.{} s", ns / S, ns % S / (100 * MS)),
        _ => format!("{} ms", ns / MS),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::span;

    #[rstest]
    #[case(0, "0 ms")]
    #[case(480_999_999, "480 ms")]
    #[case(1_000_000_000, "1.0 s")]
    #[case(3_290_000_000, "3.2 s")]
    #[case(41_999_000_000, "41 s")]
    #[case(60_000_000_000, "60 s")]
    #[case(119_999_000_000, "119 s")]
    #[case(120_000_000_000, "2 m")]
    #[case(200_500_000_000, "3 m 20 s")]
    #[case(7_260_000_000_000, "2 h 1 m")]
    #[case(273_600_000_000_000, "3 d 4 h")]
    #[case(86_400_000_000_000, "1 d")]
    #[case(u64::MAX, "213503 d 23 h")]
    fn two_units_rounded_down(#[case] ns: u64, #[case] expected: &str) {
        assert_eq!(span(ns), expected);
    }
}
