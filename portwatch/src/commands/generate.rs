//! `portwatch generate`: what is made from the definitions of the command line and of the records.

use std::{
    io::{self, Write, stdout},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::CommandFactory;

use crate::cli::{
    Cli,
    generate::{Generate, GenerateArgs},
};
use portwatch_log::schema;

/// Writes to standard output; manual pages to a directory, if one is given.
///
/// # Errors
///
/// When that cannot be written.
pub fn run(args: &GenerateArgs) -> Result<ExitCode> {
    let mut cli = Cli::command();
    let mut out = Vec::new();
    match &args.what {
        Generate::Schema => out.extend_from_slice(schema::text().as_bytes()),
        Generate::Completions { shell } => {
            clap_complete::generate(*shell, &mut cli, "portwatch", &mut out);
        }
        Generate::Man { dir: None } => clap_mangen::Man::new(cli).render(&mut out)?,
        Generate::Man { dir: Some(dir) } => clap_mangen::generate_to(cli, dir)
            .with_context(|| format!("writing manual pages into {}", dir.display()))?,
    }
    match stdout().write_all(&out) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}
