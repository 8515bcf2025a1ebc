//! `portwatch explain`: what a cause means.

pub mod sections;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anstream::ColorChoice;
use anyhow::{Context, Result};
use terminal_size::{Width, terminal_size};

use crate::cli::ExplainArgs;
use portwatch_log::{cli::ColorArg, theme::Theme};

/// Columns where there is no terminal.
const COLUMNS: usize = 80;
/// Longer lines are hard to read, however wide the terminal is.
const MOST: usize = 100;

/// Prints the section of a cause, or the list of all.
///
/// # Errors
///
/// If it cannot be written.
pub fn run(args: &ExplainArgs) -> Result<ExitCode> {
    let theme = Theme::for_stdout(match args.color {
        ColorArg::Auto => ColorChoice::Auto,
        ColorArg::Always => ColorChoice::Always,
        ColorArg::Never => ColorChoice::Never,
    });
    let width = terminal_size().map_or(COLUMNS, |(Width(columns), _)| {
        usize::from(columns).min(MOST)
    });
    let text = match args.id {
        Some(cause) => sections::section(cause)
            .with_context(|| format!("docs/causes.md has no section on {}", cause.as_str()))?
            .render(&theme, width),
        None => sections::overview(&theme, width),
    };
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}
