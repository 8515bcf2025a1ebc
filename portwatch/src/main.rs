//! Parse, run, exit.

use std::process::ExitCode;

use clap::Parser;
use portwatch::{
    bpf::error::BpfError,
    cli::{Cli, Command},
    commands::{doctor, trace},
};

/// Exit status of an error.
const ERROR: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Command::Trace(args) => trace::run(args, cli.verbose),
        Command::Doctor(args) => doctor::run(args, cli.verbose),
    };
    result.unwrap_or_else(|error| {
        anstream::eprintln!("portwatch: {error:#}");
        let log = error.downcast_ref::<BpfError>().and_then(BpfError::verifier_log);
        if let (true, Some(log)) = (cli.verbose, log) {
            anstream::eprintln!("{log}");
        }
        ExitCode::from(ERROR)
    })
}
