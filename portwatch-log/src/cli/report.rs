//! The command line of `portwatch report`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{ColorArg, FilterArgs, LogArgs};
use portwatch_core::model::verdict::Cause;

/// Examples for the end of the help.
pub const EXAMPLES: &str = "Examples:
  portwatch report binds.jsonl
  portwatch report binds.jsonl --html report.html
  portwatch report --rotated binds.jsonl          with binds.jsonl.1, binds.jsonl.2 and so on
  portwatch report web1.jsonl web2.jsonl          two hosts, each with its own ports and processes
  portwatch report -p 8080 --since 12:00 binds.jsonl
  portwatch report --cause time-wait,live-listener --format markdown binds.jsonl
  ssh web1 cat binds.jsonl | portwatch report -
  sudo portwatch trace --format json --duration 1m | portwatch report -

Lines that are no record are skipped: FILE:LINE on standard error says why, and everything else is used.

Exit status: 0 done, 2 a file cannot be read, or there is no record in any.";

/// What to show, and how.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Logs.
    #[command(flatten)]
    pub logs: LogArgs,
    /// Records.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// Only failures with these causes: their ids, several with commas.
    #[arg(long = "cause", value_name = "CAUSE", value_delimiter = ',', value_parser = parse_cause)]
    pub causes: Vec<CauseArg>,
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

fn parse_cause(text: &str) -> Result<CauseArg, String> {
    let found = Cause::ALL.iter().find(|cause| cause.as_str() == text);
    found.copied().map(CauseArg).ok_or_else(|| {
        let ids: Vec<_> = Cause::ALL.iter().map(|cause| cause.as_str()).collect();
        format!("no such cause; there are {}", ids.join(", "))
    })
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
}
