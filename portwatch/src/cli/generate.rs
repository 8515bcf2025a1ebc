//! The command line of `portwatch generate`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use clap_complete::Shell;

pub(super) const EXAMPLES: &str = "Examples:
  portwatch generate schema > portwatch.schema.json
  portwatch generate completions bash > /etc/bash_completion.d/portwatch
  portwatch generate man --dir /usr/local/share/man/man1";

/// What to generate.
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// What.
    #[command(subcommand)]
    pub what: Generate,
}

/// What can be generated.
#[derive(Debug, Subcommand)]
pub enum Generate {
    /// The JSON Schema of a line of a log.
    Schema,
    /// Completions for a shell.
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Manual pages.
    Man {
        /// Write a page for each command into this directory, and not the first one to standard output.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}
