//! `portwatch replay`: shows a log again, or judges it again.

mod filter;
mod recheck;
mod show;

use std::{
    io::{self, Write, stdout},
    process::ExitCode,
};

use anyhow::Result;

use self::{filter::Filter, recheck::Recheck, show::Told};
use crate::cli::replay::ReplayArgs;
use portwatch_log::reading::Reading;

/// Bytes that are written at once.
const BUFFER: usize = 64 * 1024;

/// Shows what was recorded, or with `--recheck` what would be judged otherwise now.
///
/// # Errors
///
/// When a log cannot be opened or read to its end, when there is no record in any, or when standard output fails.
pub fn run(args: &ReplayArgs) -> Result<ExitCode> {
    let reading = Reading::open(args.logs.files.clone(), args.logs.rotated)?;
    let mut out = io::BufWriter::with_capacity(BUFFER, stdout().lock());
    match play(args, reading, &mut out) {
        // The reader has gone: a normal end.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        // Errors of reading have words of their own.
        Err(error) if error.is::<io::Error>() => {
            Err(error.context("cannot write to standard output"))
        }
        ended => ended,
    }
}

fn play(args: &ReplayArgs, mut reading: Reading, out: &mut impl Write) -> Result<ExitCode> {
    let mut filter = Filter::new(&args.filter, args.failures);
    if args.recheck {
        let mut recheck = Recheck::new(args.format);
        for found in filter.of(&mut reading) {
            recheck.record(&found, out)?;
        }
        out.flush()?;
        reading.finish()?;
        return Ok(recheck.conclude());
    }
    let mut told = Told::new(args, reading.hosts());
    for found in filter.of(&mut reading) {
        told.record(&found, out)?;
    }
    out.flush()?;
    reading.finish()?;
    Ok(ExitCode::SUCCESS)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
