//! The command line. Definitions only; what they do is in `commands`.

pub mod generate;
pub mod replay;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{
    ArgGroup, Args, Parser, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use jiff::{SignedDuration, Span, SpanRelativeTo, Unit};

use self::{generate::GenerateArgs, replay::ReplayArgs};
use crate::bpf::plan::Tier;
use portwatch_core::model::verdict::Cause;
use portwatch_log::cli::{
    ColorArg, FormatArg, PortRange, parse_ports,
    report::{self, ReportArgs},
};

/// Names who blocked whom when a program fails with "Address already in use".
#[derive(Debug, Parser)]
#[command(
    version,
    propagate_version = true,
    infer_subcommands = true,
    after_help = "Examples:
  sudo portwatch trace                    every bind and listen on this host, until Ctrl-C
  sudo portwatch trace -p 8080 --failures only what fails on port 8080
  portwatch replay binds.jsonl            show a log again
  portwatch report binds.jsonl            what a log says as a whole
  portwatch doctor                        what this machine allows
  portwatch explain time-wait             what a cause means, and what to do

Exit status: 0 done, 2 error."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Print details of errors, including the BPF verifier log.
    #[arg(short, long, global = true)]
    pub verbose: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Report every attempt to get a port, and for each refusal who had it and why.
    #[command(after_help = TRACE_EXAMPLES)]
    Trace(Box<TraceArgs>),
    /// Show a log again, as `trace` showed it; or judge it again.
    #[command(after_help = replay::EXAMPLES)]
    Replay(Box<ReplayArgs>),
    /// Summarise logs: totals, episodes, and who had each port when.
    #[command(after_help = report::EXAMPLES)]
    Report(ReportArgs),
    /// Say what this machine allows: which capability comes from where, and what is lost.
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(DoctorArgs),
    /// Say what a cause means, why the kernel does that, and what to do; or list all causes.
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(ExplainArgs),
    /// Write the JSON Schema of the records, completions for a shell, or manual pages.
    #[command(after_help = generate::EXAMPLES)]
    Generate(GenerateArgs),
}

const TRACE_EXAMPLES: &str = "Examples:
  sudo portwatch trace
  sudo portwatch trace -p 8080,9000-9100 --failures
  sudo portwatch trace --format json | jq 'select(.verdict) | .verdict.summary'
  sudo portwatch trace -o binds.jsonl --duration 1h
  sudo portwatch trace -o binds.jsonl -o binds.txt -o -
  sudo portwatch trace -o binds.jsonl --append --rotate-size 100M --rotate-age 1d --keep 14
  sudo portwatch trace --failures -- systemctl restart myapp

Without -o, records go to standard output; messages for people go to standard error. A `start` record (and a line that
begins with \"tracing\" on standard error) appears once every hook is attached. Ctrl-C ends with a `stop` record.

Every file begins with a `start` record, so that it can be read alone. SIGHUP opens files again, for logrotate. While a
disk is full, a directory is gone or a reader does not read, tracing goes on: what cannot be written is counted, and a
`lost` record stands where it is missing.

Exit status: 0 done, 2 error; with a command its own (128 + the signal's number if one killed it, 127 if it was not
found, 126 if it could not be run).";

const DOCTOR_EXAMPLES: &str = "Examples:
  sudo portwatch doctor
  sudo portwatch doctor --format json | jq .degraded

Exit status: 0 attempts can be traced, 2 nothing can be traced.";

const EXPLAIN_EXAMPLES: &str = "Examples:
  portwatch explain                       all causes, a line or two for each
  portwatch explain live-listener
  portwatch explain time-wait | less

Exit status: 0 done, 2 there is no such cause.";

/// The name of standard output among files.
pub const STDOUT: &str = "-";

/// What to trace, and where to.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("rotation").args(["rotate_size", "rotate_age"]).multiple(true)))]
pub struct TraceArgs {
    /// Only these ports, requested or given: `8080`, `9000-9100`, several with commas.
    #[arg(short = 'p', long = "port", value_name = "PORTS", value_delimiter = ',', value_parser = parse_ports)]
    pub ports: Vec<PortRange>,
    /// Only these protocols.
    #[arg(long, value_name = "PROTO", value_delimiter = ',')]
    pub proto: Vec<ProtoArg>,
    /// Only attempts of this process, as the host numbers it.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub pid: Option<u32>,
    /// Only attempts of processes or threads of this name (15 bytes at most, as in /proc/PID/comm).
    #[arg(long, value_name = "NAME", value_parser = parse_comm)]
    pub comm: Option<String>,
    /// Show only failures and the success that ends a series of retries.
    #[arg(long)]
    pub failures: bool,
    /// In text, show every attempt in full, also a retry that fails as the one before did (JSON always has them all).
    #[arg(long)]
    pub every: bool,
    /// Output format if the file name does not imply one [default: text on standard output and in
    /// FILE.log, json in other files].
    #[arg(long, value_enum)]
    pub format: Option<FormatArg>,
    /// Write records to this file (made with mode 0600) and not to standard output: json to FILE.json or FILE.jsonl, text
    /// to FILE.txt. May be given several times; `-` is standard output.
    #[arg(short, long, value_name = "FILE")]
    pub output: Vec<PathBuf>,
    /// Add to files that exist. Without it they are refused.
    #[arg(long, requires = "output")]
    pub append: bool,
    /// Begin a new file before one grows larger than this: `100M`, `1G`, `64K` (at least 64K; of 1024 bytes each).
    #[arg(long, value_name = "SIZE", requires = "output", value_parser = parse_size)]
    pub rotate_size: Option<u64>,
    /// Begin a new file when one is older than this: `1d`, `12h`.
    #[arg(long, value_name = "TIME", requires = "output", value_parser = parse_age)]
    pub rotate_age: Option<Duration>,
    /// How many older files to keep: FILE.1 is the last one before FILE [default: 7].
    #[arg(long, value_name = "N", requires = "rotation", value_parser = clap::value_parser!(u32).range(1..=999))]
    pub keep: Option<u32>,
    /// End after this time: `30s`, `5m`, `1h 30m`.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// End after so many attempts.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Colour in text [auto: on a terminal, unless the environment sets `NO_COLOR`].
    #[arg(long, value_enum, default_value_t = ColorArg::Auto, value_name = "WHEN")]
    pub color: ColorArg,
    /// Use only hooks of this kind where there is a choice [default: the best that the kernel allows].
    #[arg(long, value_enum)]
    pub tier: Option<TierArg>,
    /// Load this BPF object instead of the built-in one.
    #[arg(long, value_name = "FILE")]
    pub bpf_object: Option<PathBuf>,
    /// Run this command, and end when it ends.
    #[arg(last = true, value_name = "CMD")]
    pub cmd: Vec<OsString>,
}

impl TraceArgs {
    /// The files of `-o`, without standard output.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.output
            .iter()
            .map(PathBuf::as_path)
            .filter(|path| path.as_os_str() != STDOUT)
    }
}

/// How to report.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// How the findings are written.
    #[arg(long, value_enum, default_value_t = FormatArg::Text)]
    pub format: FormatArg,
    /// Try only hooks of this kind where there is a choice [default: the best that the kernel allows].
    #[arg(long, value_enum)]
    pub tier: Option<TierArg>,
    /// Examine this BPF object instead of the built-in one.
    #[arg(long, value_name = "FILE")]
    pub bpf_object: Option<PathBuf>,
}

/// What to explain.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The id, as failures have it after `cause` [default: list all].
    #[arg(value_parser = causes(), hide_possible_values = true)]
    pub id: Option<Cause>,
    /// Colour [auto: on a terminal, unless the environment sets `NO_COLOR`].
    #[arg(long, value_enum, default_value_t = ColorArg::Auto, value_name = "WHEN")]
    pub color: ColorArg,
}

/// A kind of hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TierArg {
    /// On kernel functions: exact.
    Fexit,
    /// Tracepoints: works on hardened kernels too, or when fexit fails.
    Tracepoint,
}

impl From<TierArg> for Tier {
    fn from(tier: TierArg) -> Self {
        match tier {
            TierArg::Fexit => Self::Fexit,
            TierArg::Tracepoint => Self::Tracepoint,
        }
    }
}

/// A protocol to filter by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProtoArg {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// Multipath TCP.
    Mptcp,
    /// Unix sockets.
    Unix,
    /// Any other.
    Other,
}

fn causes() -> impl TypedValueParser<Value = Cause> {
    let ids = Cause::ALL.iter().map(|cause| cause.as_str());
    PossibleValuesParser::new(ids).try_map(|id| {
        let mut all = Cause::ALL.iter().copied();
        all.find(|cause| cause.as_str() == id)
            .ok_or("there is no such cause")
    })
}

fn parse_comm(text: &str) -> Result<String, String> {
    match text.len() {
        1..=15 => Ok(text.to_owned()),
        0 => Err("a name has at least one byte".to_owned()),
        n => Err(format!(
            "{n} bytes, but the kernel keeps 15 of a name: write `{}`",
            text.chars()
                .scan(0, |len, c| {
                    *len += c.len_utf8();
                    (*len <= 15).then_some(c)
                })
                .collect::<String>()
        )),
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration: SignedDuration = text
        .parse()
        .map_err(|_| "not a time: write 30s, 5m or `1h 30m`".to_owned())?;
    Duration::try_from(duration)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "must be longer than nothing".to_owned())
}

fn parse_size(text: &str) -> Result<u64, String> {
    const LEAST: u64 = 64 * 1024;
    let wrong = || "not a size: write 100M, 1G, or a number of bytes".to_owned();
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit: u64 = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" | "KB" | "KIB" => 1 << 10,
        "M" | "MB" | "MIB" => 1 << 20,
        "G" | "GB" | "GIB" => 1 << 30,
        "T" | "TB" | "TIB" => 1 << 40,
        _ => return Err(wrong()),
    };
    let count: u64 = digits.parse().map_err(|_| wrong())?;
    match count.checked_mul(unit) {
        Some(size @ LEAST..) => Ok(size),
        Some(_) => Err("files would be too many: 64K at least".to_owned()),
        None => Err("larger than any file".to_owned()),
    }
}

fn parse_age(text: &str) -> Result<Duration, String> {
    let wrong = || "not a time: write 1d, 12h or 1w".to_owned();
    let span: Span = text.parse().map_err(|_| wrong())?;
    let days = SpanRelativeTo::days_are_24_hours();
    let seconds = span.total((Unit::Second, days)).map_err(|_| wrong())?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|age| *age >= Duration::from_secs(1))
        .ok_or_else(|| "must be a second at least".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_and_ages() {
        assert_eq!(parse_size("100M"), Ok(100 << 20));
        assert_eq!(parse_size("64kib"), Ok(64 << 10));
        assert_eq!(parse_size("65536"), Ok(64 << 10));
        assert_eq!(parse_size("1G"), Ok(1 << 30));
        for bad in [
            "",
            "M",
            "63K",
            "1X",
            "-1M",
            "1.5G",
            "99999999T",
            "1 0M",
            "M1",
        ] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_age("1d"), Ok(Duration::from_secs(86400)));
        assert_eq!(parse_age("1w"), Ok(Duration::from_secs(7 * 86400)));
        assert_eq!(parse_age("1h 30m"), Ok(Duration::from_secs(5400)));
        for bad in ["", "soon", "0s", "-1d", "100ms", "1mo"] {
            assert!(parse_age(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_and_names() {
        assert_eq!(parse_duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert!(parse_duration("soon").is_err());
        assert!(parse_duration("0s").is_err());
        assert!(parse_duration("-3s").is_err());
        assert!(
            parse_comm("a-name-of-16-byt")
                .unwrap_err()
                .contains("`a-name-of-16-by`")
        );
    }
}
