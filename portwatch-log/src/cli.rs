//! Arguments of the commands that read or write records.

pub mod report;

use std::path::PathBuf;

use anstream::ColorChoice;
use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};

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

/// How output is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// When text has colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorArg {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl From<ColorArg> for ColorChoice {
    fn from(color: ColorArg) -> Self {
        match color {
            ColorArg::Auto => Self::Auto,
            ColorArg::Always => Self::Always,
            ColorArg::Never => Self::Never,
        }
    }
}

/// Ports, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

/// Reads a port or a range of ports.
///
/// # Errors
///
/// When it is neither; the text says what is.
pub fn parse_ports(text: &str) -> Result<PortRange, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| match text.trim().parse::<u32>() {
        Ok(port @ 1..=65535) => Ok(u16::try_from(port).unwrap_or(u16::MAX)),
        Ok(_) => Err(format!("{text} is not a port: ports are 1 to 65535")),
        Err(_) => Err(format!(
            "`{text}` is not a port number: write 8080, or a range as 9000-9100"
        )),
    };
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        return Err(format!(
            "the range ends before it begins: write {last}-{first}"
        ));
    }
    Ok(PortRange { first, last })
}

fn parse_moment(text: &str) -> Result<Timestamp, String> {
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
    fn ports_and_ranges() {
        assert_eq!(
            parse_ports("8080"),
            Ok(PortRange {
                first: 8080,
                last: 8080
            })
        );
        assert_eq!(
            parse_ports("9000-9100"),
            Ok(PortRange {
                first: 9000,
                last: 9100
            })
        );
        for bad in ["http", "", "0", "65536", "9100-9000", "1-2-3", "-5"] {
            assert!(parse_ports(bad).is_err(), "{bad}");
        }
    }

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
