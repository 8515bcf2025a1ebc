//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::{LIMIT, bench, drawing, lint, vm};

#[derive(Parser)]
#[command(name = "cargo xtask", about, version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Build the eBPF object that portwatch carries.
    #[command(after_help = EBPF_EXAMPLES)]
    Ebpf {
        /// Change nothing: fail if the committed object is not made of the sources that are here.
        #[arg(long)]
        check: bool,
        /// Build an object that logs; needs a portwatch built with the feature `debug-log`.
        #[arg(long, conflicts_with = "check")]
        debug_log: bool,
        /// Write the object here, and leave the committed one alone.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Install what the tests and the eBPF object need, as root or through sudo.
    #[command(after_help = SETUP_EXAMPLES)]
    Setup {
        /// Only what the tests need.
        #[arg(long, conflicts_with = "ebpf_only")]
        tests_only: bool,
        /// Only what `cargo xtask ebpf` needs.
        #[arg(long)]
        ebpf_only: bool,
    },
    /// Fetch Debian's kernels, whose types the tests read, into a cache outside of the checkout.
    #[command(alias = "btf", after_help = KERNELS_EXAMPLES)]
    Kernels {
        /// Look for newer ones, too.
        #[arg(long)]
        refresh: bool,
    },
    /// Check the tree: its form, its documentation, what depends on what, its words.
    #[command(after_help = lint::EXAMPLES)]
    Lint(lint::LintArgs),
    /// Draw the crates and their modules into docs/architecture.md, from the manifests and the sources.
    #[command(after_help = drawing::EXAMPLES)]
    Drawing {
        /// Change nothing: fail if the committed drawing is not up to date.
        #[arg(long)]
        check: bool,
    },
    /// Install what the tests run, then run them all; those that trace need root.
    #[command(after_help = TEST_EXAMPLES)]
    Test {
        /// Only those beside the code, which need neither root nor anything installed.
        #[arg(long, conflicts_with_all = ["live", "kernels"])]
        unit: bool,
        /// Only those that take no root and little time: those beside the code, and those of the command line.
        #[arg(long, conflicts_with_all = ["unit", "live", "kernels"])]
        quick: bool,
        /// Only those that run portwatch; to trace they need root.
        #[arg(long, conflicts_with = "kernels")]
        live: bool,
        /// Only those on Debian's kernels: `cargo xtask vm --check`.
        #[arg(long, conflicts_with = "arguments")]
        kernels: bool,
        /// Arguments for `cargo test`; with any, Debian's kernels are left out.
        #[arg(last = true, value_name = "ARGS")]
        arguments: Vec<String>,
    },
    /// Measure what tracing costs; needs root.
    #[command(after_help = bench::EXAMPLES)]
    Bench(bench::BenchArgs),
    /// Boot Debian's kernels in emulated machines, and see there whether all that has to hold does: the scenarios in each
    /// tier, and the rule. Writes down what portwatch can know on which (docs/kernels.md), and which causes it proved on
    /// which (docs/causes.md).
    #[command(after_help = VM_EXAMPLES)]
    Vm {
        /// Which one: 5.10, 6.1, 6.12, newest or all.
        #[arg(long, value_name = "KERNEL", default_value = "all")]
        kernel: String,
        /// Where portwatch may get what it knows from; several times for several. Without a command each by default.
        #[arg(long, value_name = "TIER")]
        tier: Vec<TierArg>,
        /// Processors of a guest that runs a command.
        #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
        processors: u8,
        /// One more program for the guest's /bin; it must be linked statically.
        #[arg(long, value_name = "FILE")]
        add: Vec<PathBuf>,
        /// Seconds that one guest may run.
        #[arg(long, value_name = "SECONDS", default_value_t = LIMIT)]
        limit: u64,
        /// Change no file: fail if docs/kernels.md or docs/causes.md is not up to date.
        #[arg(long)]
        check: bool,
        /// What root runs there instead.
        #[arg(last = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum TierArg {
    Fexit,
    Tracepoint,
    All,
}

impl TierArg {
    pub(crate) fn tiers(self) -> &'static [vm::Tier] {
        match self {
            Self::Fexit => &[vm::Tier::Fexit],
            Self::Tracepoint => &[vm::Tier::Tracepoint],
            Self::All => vm::Tier::ALL,
        }
    }
}

const EBPF_EXAMPLES: &str = "\
Examples:
  cargo xtask ebpf                         rebuild portwatch/bpf/portwatch.bpf.o and its stamp
  cargo xtask ebpf --check                 is the committed object up to date?
  cargo xtask ebpf --debug-log -o /tmp/o   an object for `portwatch --bpf-object /tmp/o`";

const SETUP_EXAMPLES: &str = "\
Examples:
  cargo xtask setup                everything; does nothing where all is there
  cargo xtask setup --tests-only   leave the BPF toolchain out";

const KERNELS_EXAMPLES: &str = "\
Examples:
  cargo xtask kernels             fetch what is not there yet
  cargo xtask kernels --refresh   fetch today's versions";

const TEST_EXAMPLES: &str = "\
Examples:
  cargo xtask test                    all tests
  cargo xtask test --quick            before each commit: what runs within two minutes, without root
  cargo xtask test --unit             those that need neither root nor anything installed
  cargo xtask test --live -- listen   those that run portwatch, and have this in their name
  cargo xtask test --kernels          those on Debian's kernels";

const VM_EXAMPLES: &str = "\
Examples:
  cargo xtask vm                                           everything on every kernel, in each tier
  cargo xtask vm --kernel 6.12 --tier fexit                everything on one, in one
  cargo xtask vm --kernel 5.10 -- live time-wait           the scenarios with this in their name
  cargo xtask vm --kernel 6.1 -- portwatch doctor          any command
  cargo xtask vm --add /bin/busybox -- busybox sh -c 'ls'  with a program that is linked statically";
