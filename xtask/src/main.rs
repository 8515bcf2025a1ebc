//! portwatch's chores: build the eBPF object, set up a machine, run the tests.

mod apt;
mod bench;
mod cli;
mod drawing;
mod duckdb;
mod ebpf;
mod kernels;
mod lint;
mod page;
mod setup;
mod shell;
mod sources;
mod stamp;
mod strip;
mod test;
mod toolchain;
mod vm;
mod workspace;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use cli::{Cli, Command};

/// Seconds that a guest may run.
const LIMIT: u64 = 3000;

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            shell::say(format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let done = match command {
        Command::Ebpf {
            check: true,
            output,
            ..
        } => ebpf::check(output),
        Command::Ebpf {
            debug_log, output, ..
        } => ebpf::build(debug_log, output),
        Command::Setup {
            tests_only,
            ebpf_only,
        } => {
            if !ebpf_only {
                setup::tests()?;
            }
            if !tests_only {
                setup::ebpf()?;
            }
            Ok(())
        }
        Command::Drawing { check: true } => drawing::check(),
        Command::Drawing { check: false } => drawing::draw(),
        Command::Lint(args) => return lint::lint(&args),
        Command::Kernels { refresh } => kernels::ensure_all(refresh),
        Command::Test {
            unit,
            quick,
            live,
            kernels,
            arguments,
        } => {
            let which = match (quick, unit, live, kernels) {
                (true, ..) => test::Which::Quick,
                (_, true, ..) => test::Which::Unit,
                (_, _, true, _) => test::Which::Live,
                (.., true) => test::Which::Kernels,
                _ => test::Which::All,
            };
            test::test(which, &arguments)
        }
        Command::Bench(args) => bench::bench(&args),
        Command::Vm {
            kernel,
            tier,
            processors,
            add,
            limit,
            check,
            command,
        } => {
            let request = vm::Request {
                kernel,
                tiers: tier.iter().flat_map(|tier| tier.tiers()).copied().collect(),
                processors: processors.into(),
                add,
                limit: Duration::from_secs(limit),
                check,
                command,
            };
            return vm::vm(&request).map(ExitCode::from);
        }
    };
    done.map(|()| ExitCode::SUCCESS)
}
