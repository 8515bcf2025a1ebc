//! The command line of `portwatch replay`, and of whatever else reads logs.

use std::path::PathBuf;

use clap::Args;
use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};

use super::{ColorArg, FormatArg, PortRange, parse_ports};

pub(super) const EXAMPLES: &str = "Examples:
  portwatch replay binds.jsonl                    what `trace` showed
  portwatch replay --rotated binds.jsonl          with binds.jsonl.1, binds.jsonl.2 and so on
  portwatch replay web1.jsonl web2.jsonl          two hosts, merged by time
  portwatch replay --since 12:00 -p 8080 binds.jsonl
  ssh web1 cat binds.jsonl | portwatch replay -
  portwatch replay --recheck binds.jsonl          would it be judged the same today?

Lines that are no record are skipped: FILE:LINE on standard error says why, and everything else is used.

Exit status: 0 done, 2 a file cannot be read, or there is no record in any. With --recheck: 0 no difference,
1 differences, 2 error.";

/// Which logs.
#[derive(Clone, Debug, Default, Args)]
pub struct LogArgs {
    /// Logs of `portwatch trace`, plain or as `.gz`; `-` is standard input. FILE, FILE.1, FILE.2 are read as one log,
    /// the oldest first.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Read what each FILE was rotated to as well: FILE.1, FILE.2 and so on.
    #[arg(long)]
    pub rotated: bool,
}

/// Which records.
#[derive(Clone, Debug, Default, Args)]
pub struct FilterArgs {
    /// Only these ports, requested or given: `8080`, `9000-9100`, several with commas.
    #[arg(short = 'p', long = "port", value_name = "PORTS", value_delimiter = ',', value_parser = parse_ports)]
    pub ports: Vec<PortRange>,
    /// Not before: `2026-11-21T12:00:00Z`; in local time `2026-11-21 12:00`, `2026-11-21` or today's `12:00`; or so long
    /// ago: `2h`.
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub since: Option<Timestamp>,
    /// Not after; as for `--since`.
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub until: Option<Timestamp>,
}

/// What to show again, and how.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Logs.
    #[command(flatten)]
    pub logs: LogArgs,
    /// Judge the recorded facts anew, and list what differs from what was recorded.
    #[arg(long)]
    pub recheck: bool,
    /// Records.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// In text, show every attempt in full, also a retry that fails as the one before did.
    #[arg(long)]
    pub every: bool,
    /// Only attempts that fail, and those that a story of failures ended with.
    #[arg(long)]
    pub failures: bool,
    /// How it is written [default: text].
    #[arg(long, value_enum)]
    pub format: Option<FormatArg>,
    /// Colour in text [auto: on a terminal, unless the environment sets `NO_COLOR`].
    #[arg(long, value_enum, default_value_t = ColorArg::Auto, value_name = "WHEN")]
    pub color: ColorArg,
}

pub(super) fn parse_moment(text: &str) -> Result<Timestamp, String> {
    moment(text, Timestamp::now(), &TimeZone::system())
}

/// A moment, as seen at `now` in `zone`.
fn moment(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
    let bad = || {
        "not a time: write 2026-11-21T12:00:00Z, `2026-11-21 12:00`, 2026-11-21, 12:00, or 2h for two hours ago"
            .to_owned()
    };
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let today = now.to_zoned(zone.clone()).date();
    let local: Option<civil::DateTime> = text
        .parse()
        .or_else(|_| {
            text.parse()
                .map(|time: civil::Time| today.to_datetime(time))
        })
        .ok();
    if let Some(local) = local {
        let zoned = local.to_zoned(zone.clone());
        return zoned.map(|zoned| zoned.timestamp()).map_err(|_| bad());
    }
    let ago: SignedDuration = text.parse().map_err(|_| bad())?;
    if ago.is_negative() {
        return Err(bad());
    }
    now.checked_sub(ago).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        for (text, expected) in [
            ("2026-11-20T01:02:03.5Z", "2026-11-20T01:02:03.5Z"),
            ("2026-11-20T01:02:03+01:00", "2026-11-20T00:02:03Z"),
            ("2026-11-20 13:00", "2026-11-20T11:00:00Z"),
            ("2026-11-20", "2026-11-19T22:00:00Z"),
            ("13:30", "2026-11-21T11:30:00Z"),
            ("2h", "2026-11-21T10:00:00Z"),
            ("1h 30m", "2026-11-21T10:30:00Z"),
        ] {
            let expected: Timestamp = expected.parse().unwrap();
            assert_eq!(moment(text, now, &zone), Ok(expected), "{text}");
        }
        for bad in ["", "soon", "-2h", "25:00", "2026-13-01"] {
            assert!(moment(bad, now, &zone).is_err(), "{bad}");
        }
    }
}
