//! The command line of `portwatch replay`.

use clap::Args;
use portwatch_log::cli::{ColorArg, FilterArgs, FormatArg, LogArgs};

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

/// What to show again, and how.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Logs.
    #[command(flatten)]
    pub logs: LogArgs,
    /// Judge the recorded facts again, and list the differences.
    #[arg(long)]
    pub recheck: bool,
    /// Records.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// In text, show every attempt in full, also a retry that fails as the one before did.
    #[arg(long)]
    pub every: bool,
    /// Only attempts that fail, and those that an episode ended with.
    #[arg(long)]
    pub failures: bool,
    /// How it is written [default: text].
    #[arg(long, value_enum)]
    pub format: Option<FormatArg>,
    /// Colour in text [auto: on a terminal, unless the environment sets `NO_COLOR`].
    #[arg(long, value_enum, default_value_t = ColorArg::Auto, value_name = "WHEN")]
    pub color: ColorArg,
}
