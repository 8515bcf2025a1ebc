//! Moments as nanoseconds since 1970.

use jiff::Timestamp;

/// Reads RFC 3339. What portwatch itself writes (`2026-11-21T12:03:41.118000000Z`) is read without detours: a large log
/// has millions of them.
#[must_use]
pub fn parse(text: &str) -> Option<i64> {
    own(text.as_bytes()).or_else(|| {
        let time: Timestamp = text.parse().ok()?;
        i64::try_from(time.as_nanosecond()).ok()
    })
}

/// RFC 3339, in UTC.
#[must_use]
pub fn format(ns: i64) -> String {
    Timestamp::from_nanosecond(i128::from(ns))
        .map_or_else(|_| ns.to_string(), |time| time.to_string())
}

fn own(text: &[u8]) -> Option<i64> {
    let (head, fraction) = match text {
        [head @ .., b'Z'] if head.len() == 29 && head[19] == b'.' => (&head[..19], &head[20..]),
        [head @ .., b'Z'] if head.len() == 19 => (head, &[][..]),
        _ => return None,
    };
    let &[
        y1,
        y2,
        y3,
        y4,
        b'-',
        m1,
        m2,
        b'-',
        d1,
        d2,
        b'T',
        h1,
        h2,
        b':',
        n1,
        n2,
        b':',
        s1,
        s2,
    ] = head
    else {
        return None;
    };
    let year = number(&[y1, y2, y3, y4])?;
    let (month, day) = (number(&[m1, m2])?, number(&[d1, d2])?);
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[n1, n2])?, number(&[s1, s2])?);
    let sane = (1970..2262).contains(&year)
        && (1..=12).contains(&month)
        && (1..=28).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    // The ends of months and leap seconds are left to the library.
    if !sane {
        return None;
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(seconds * 1_000_000_000 + number(fraction)?)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |number, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + i64::from(digit - b'0'))
    })
}

/// Days from 1970-01-01 to a date of the Gregorian calendar: years begin in March, so that leap days come last.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year / 400;
    let of_era = year - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn library(text: &str) -> Option<i64> {
        let time: Timestamp = text.parse().ok()?;
        i64::try_from(time.as_nanosecond()).ok()
    }

    #[rstest]
    #[case("1970-01-01T00:00:00Z", Some(0))]
    #[case("2026-11-21T12:03:41.118000000Z", Some(1_795_262_621_118_000_000))]
    #[case("2024-02-29T23:59:59.999999999Z", Some(1_709_251_199_999_999_999))]
    #[case("2026-11-21T13:03:41.118+01:00", Some(1_795_262_621_118_000_000))]
    #[case("yesterday", None)]
    #[case("2026-02-30T00:00:00Z", None)]
    #[case("2026-13-01T00:00:00Z", None)]
    fn of_rfc_3339(#[case] text: &str, #[case] expected: Option<i64>) {
        assert_eq!(parse(text), expected, "{text}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn as_the_library_reads_it(ns in 0..9_000_000_000_000_000_000_i64) {
            let text = Timestamp::from_nanosecond(i128::from(ns)).unwrap();
            let text = format!("{text:.9}");
            prop_assert_eq!(library(&text), Some(ns));
            prop_assert_eq!(parse(&text), Some(ns), "{}", text);
        }
    }
}
