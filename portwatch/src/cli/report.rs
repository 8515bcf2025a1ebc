//! The command line of `portwatch report`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::{ColorArg, PortRange, parse_ports};
use crate::model::verdict::Cause;

pub(super) const REPORT_EXAMPLES: &str = "Examples:
  portwatch report binds.jsonl
  portwatch report --rotated binds.jsonl          with binds.jsonl.1, binds.jsonl.2 and so on
  portwatch report binds.jsonl --html report.html
  portwatch report -p 8080 --since '2026-11-21 12:00' binds.jsonl
  portwatch report --cause time-wait,live-listener --format markdown web1.jsonl web2.jsonl
  sudo portwatch trace --format json --duration 1m | portwatch report -

Logs are read one after the other, the parts of one log in their order. Lines that cannot be read are told on standard
error, and everything else is used.

Exit status: 0 done, 2 error.";

/// What to show, and how.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Logs, as `portwatch trace -o` writes them, plain or as `.gz`; `-` for standard input. FILE, FILE.1, FILE.2 are read
    /// as one log, the oldest first.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Read what each FILE was rotated to as well: FILE.1, FILE.2 and so on.
    #[arg(long)]
    pub rotated: bool,
    /// Only these ports, requested or given: `8080`, `9000-9100`, several with commas.
    #[arg(short = 'p', long = "port", value_name = "PORTS", value_delimiter = ',', value_parser = parse_ports)]
    pub ports: Vec<PortRange>,
    /// Only failures with these causes: their ids, several with commas.
    #[arg(long = "cause", value_name = "CAUSE", value_delimiter = ',', value_parser = parse_cause)]
    pub causes: Vec<CauseArg>,
    /// Nothing before: `2026-11-21T12:00:00Z`; in local time `2026-11-21 12:00`, `2026-11-21` or today's `12:00`; or so long
    /// ago: `2h`.
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub since: Option<MomentArg>,
    /// Nothing after.
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub until: Option<MomentArg>,
    /// How the report is written [default: text, unless there is a page].
    #[arg(long, value_enum)]
    pub format: Option<ReportFormat>,
    /// Write a page to look at into this file (made with mode 0600).
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Replace the page if it exists.
    #[arg(long, requires = "html")]
    pub force: bool,
    /// Rows of a table.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = parse_top)]
    pub top: usize,
    /// Columns of the text [default: the terminal's].
    #[arg(long, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(30..=1000))]
    pub width: Option<u16>,
    /// Colour in text [auto: on a terminal, unless the environment sets `NO_COLOR`].
    #[arg(long, value_enum, default_value_t = ColorArg::Auto, value_name = "WHEN")]
    pub color: ColorArg,
}

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people.
    Text,
    /// One JSON object.
    Json,
    /// Tables for an issue or a wiki.
    Markdown,
}

/// A cause, by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CauseArg(pub Cause);

/// A moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MomentArg(pub Timestamp);

fn parse_cause(text: &str) -> Result<CauseArg, String> {
    let found = Cause::ALL.iter().find(|cause| cause.as_str() == text);
    found.copied().map(CauseArg).ok_or_else(|| {
        let ids: Vec<_> = Cause::ALL.iter().map(|cause| cause.as_str()).collect();
        format!("no such cause; there are {}", ids.join(", "))
    })
}

fn parse_moment(text: &str) -> Result<MomentArg, String> {
    super::replay::parse_moment(text).map(MomentArg)
}

fn parse_top(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(top @ 1..=100_000) => Ok(top),
        _ => Err("not a number from 1 to 100000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_by_their_ids() {
        assert_eq!(parse_cause("time-wait"), Ok(CauseArg(Cause::TimeWait)));
        assert!(parse_cause("timewait").unwrap_err().contains("time-wait"));
    }

    #[test]
    fn moments_as_for_replay() {
        let exact = parse_moment("2026-11-21T12:00:00Z").unwrap();
        assert_eq!(exact.0.as_second(), 1_795_262_400);
        let local = parse_moment("2026-11-21 12:00").unwrap();
        assert!((local.0.as_second() - 1_795_262_400).abs() <= 14 * 3600);
        assert!(parse_moment("2026-11-21").is_ok());
        assert!(parse_moment("2h").unwrap().0 < Timestamp::now());
        assert!(parse_moment("12:00").is_ok());
        assert!(parse_moment("noon").is_err());
    }
}
