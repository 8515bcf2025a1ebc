//! `cargo xtask bench`: what tracing costs, and what reading a log does, measured on this machine.

use std::process::Command;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::duckdb;
use crate::shell::{root, run, say};

pub(crate) const EXAMPLES: &str = "\
Examples:
  cargo xtask bench                               everything, as columns
  cargo xtask bench --rounds 25 --format markdown the tables of docs/performance.md
  cargo xtask bench --only failures               only tracers that have this in their name
  cargo xtask bench --log                         a report of a million records, beside jq and DuckDB
  cargo xtask bench --quick --format json | jq '.rows[] | select(.met == false)'

Tracing needs root. bpftrace is measured beside portwatch where it is installed. PORTWATCH_BPF_OBJECT names another BPF
object to measure. In a guest, where times mean little: cargo xtask vm --kernel 6.12 -- bench tracing --quick";

/// What to measure, and how to tell it: handed on.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// How often each pair is measured; the results are medians.
    #[arg(long)]
    rounds: Option<u32>,
    /// Few rounds of little work: shows that it works, not what it costs.
    #[arg(long)]
    quick: bool,
    /// Only tracers that have this in their name.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Measure what a report of a large log costs, and not tracing. Needs 1 GB in the directory of temporary files; no root.
    #[arg(long, conflicts_with_all = ["quick", "only", "format"])]
    log: bool,
    /// How the result is written.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Markdown,
    Json,
}

/// Builds portwatch as it is shipped and the program that measures, and runs that.
pub(crate) fn bench(args: &BenchArgs) -> Result<()> {
    // It takes the portwatch that lies beside it.
    run(cargo().args([
        "build",
        "--release",
        "--locked",
        "--package",
        "portwatch",
        "--package",
        "portwatch-report",
    ]))?;
    let mut bench = cargo();
    bench
        .args(["run", "--quiet", "--release", "--locked"])
        .args(["--package", "portwatch-bench", "--bin", "bench", "--"])
        .arg(if args.log { "log" } else { "tracing" });
    if let Some(rounds) = args.rounds {
        bench.arg("--rounds").arg(rounds.to_string());
    }
    if args.quick {
        bench.arg("--quick");
    }
    if let Some(only) = &args.only {
        bench.arg("--only").arg(only);
    }
    if args.log {
        // Measured beside it. Without it there is a row less.
        if let Err(error) = duckdb::ensure() {
            say(format!("warning: {error:#}"));
        }
        return run(&mut bench);
    }
    let format = args.format.to_possible_value();
    bench.args(
        format
            .iter()
            .flat_map(|format| ["--format", format.get_name()]),
    );
    run(&mut bench)
}

/// The cargo that runs this program.
fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}
