//! Parse, run, exit.

use std::process::ExitCode;

use clap::Parser;
use portwatch_log::{
    cli::report::{EXAMPLES, ReportArgs},
    error,
};
use portwatch_report::command;

/// Summarise logs: totals, episodes, and who had each port when.
#[derive(Debug, Parser)]
#[command(name = "portwatch report", version, after_help = EXAMPLES)]
struct Cli {
    /// Accepted for `portwatch --verbose report`; there is nothing more to say.
    #[arg(short, long, hide = true)]
    verbose: bool,
    #[command(flatten)]
    report: ReportArgs,
}

fn main() -> ExitCode {
    command::run(&Cli::parse().report).unwrap_or_else(|failure| error::tell(&failure))
}
