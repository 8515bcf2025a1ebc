//! Measures what tracing costs, and what reading a log does.

use std::{ffi::OsString, os::fd::RawFd, process::ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};
use portwatch_bench::{BenchArgs, log, run};
use portwatch_tests::lab::agent;

#[derive(Parser)]
#[command(about, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure what tracing costs; needs root
    Tracing(BenchArgs),
    /// Measure what reading a log costs
    Log(log::LogArgs),
    /// Be a process of a measurement
    #[command(name = agent::SUBCOMMAND, hide = true)]
    Agent {
        /// A descriptor of the program that this process was before
        #[arg(long)]
        keep: Vec<RawFd>,
        /// Means nothing
        #[arg(last = true)]
        rest: Vec<OsString>,
    },
}

fn main() -> Result<ExitCode> {
    match Cli::parse().command {
        Command::Tracing(args) => run(&args)?,
        Command::Log(args) => log::run(&args)?,
        Command::Agent { keep, rest: _ } => agent::serve(&keep)?,
    }
    Ok(ExitCode::SUCCESS)
}
