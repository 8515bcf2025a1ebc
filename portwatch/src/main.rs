//! Parse, run, exit.

use std::process::ExitCode;

use clap::Parser;
use portwatch::{
    bpf::error::BpfError,
    cli::{Cli, Command},
    commands::{doctor, explain, generate, replay, report, trace},
};
use portwatch_log::error;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Command::Trace(args) => trace::run(args, cli.verbose),
        Command::Replay(args) => replay::run(args),
        Command::Doctor(args) => doctor::run(args, cli.verbose),
        Command::Explain(args) => explain::run(args),
        Command::Generate(args) => generate::run(args),
        Command::Report(_) => report::run(),
    };
    result.unwrap_or_else(|failure| {
        let status = error::tell(&failure);
        let log = failure
            .downcast_ref::<BpfError>()
            .and_then(BpfError::verifier_log);
        if let (true, Some(log)) = (cli.verbose, log) {
            anstream::eprintln!("{log}");
        }
        status
    })
}
