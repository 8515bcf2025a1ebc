//! Parse, run, exit.

use std::process::ExitCode;

use clap::Parser;
use portwatch::{
    bpf::error::BpfError,
    cli::{Cli, Command},
    commands::{doctor, explain, generate, replay, report, trace},
};

/// Exit status of an error.
const ERROR: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Command::Trace(args) => trace::run(args, cli.verbose),
        Command::Replay(args) => replay::run(args),
        Command::Doctor(args) => doctor::run(args, cli.verbose),
        Command::Explain(args) => explain::run(args),
        Command::Generate(args) => generate::run(args),
        Command::Report(args) => report::run(args),
    };
    result.unwrap_or_else(|error| {
        anstream::eprintln!("portwatch: {}", chain(&error));
        let log = error
            .downcast_ref::<BpfError>()
            .and_then(BpfError::verifier_log);
        if let (true, Some(log)) = (cli.verbose, log) {
            anstream::eprintln!("{log}");
        }
        ExitCode::from(ERROR)
    })
}

/// An error and its causes in one line; a cause that an error's own words contain is not said twice.
fn chain(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for text in error.chain().map(ToString::to_string) {
        if !line.contains(&text) {
            if !line.is_empty() {
                line.push_str(": ");
            }
            line.push_str(&text);
        }
    }
    line
}
