//! `portwatch trace`: the main job.

mod child;
mod filters;
mod losses;
mod outlet;
mod outputs;
mod prepare;
mod pump;
mod session;
mod signals;
mod teller;

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::TraceArgs;

/// Traces until told to end.
///
/// # Errors
///
/// If tracing cannot start, or records could not be written.
pub fn run(args: &TraceArgs, verbose: bool) -> Result<ExitCode> {
    // One thread reads the ring and waits for signals; another one makes records of what it reads.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(session::run(args, verbose));
    // A teller that cannot write must not keep the program from ending.
    runtime.shutdown_background();
    result
}
