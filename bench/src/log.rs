//! What reading a log costs: a report of a million records, beside other programs that count its failures by cause.

use std::{
    fs::{self, File},
    io::{BufWriter, Write, stdout},
    mem::MaybeUninit,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::say;
use portwatch_tests::{harness::portwatch_binary, made_up::Log, programs::duckdb};

/// What to measure
#[derive(Debug, Args)]
pub struct LogArgs {
    /// Records of the log
    #[arg(long, default_value_t = 1_000_000)]
    records: u64,
    /// How often each program is measured; the results are medians
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// The log lies in this directory, and is removed at the end
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
}

/// What a run took.
#[derive(Clone, Copy, Debug)]
struct Cost {
    wall: Duration,
    /// Time on processors, of all threads.
    cpu: Duration,
    /// Peak of resident memory, in KiB.
    memory: i64,
}

/// Measures, and prints a table.
pub fn run(args: &LogArgs) -> Result<()> {
    let directory = match &args.directory {
        Some(path) => tempfile::tempdir_in(path),
        None => tempfile::tempdir(),
    }?;
    let (whole, tenth) = (
        directory.path().join("log.jsonl"),
        directory.path().join("tenth.jsonl"),
    );
    write(&whole, args.records)?;
    write(&tenth, args.records / 10)?;
    let size = fs::metadata(&whole)?.len();
    let portwatch = portwatch_binary()?;
    let mut out = stdout().lock();
    writeln!(
        out,
        "{} records, {} MB, {} bytes each; medians of {} rounds\n",
        args.records,
        size / 1_000_000,
        size / args.records.max(1),
        args.rounds
    )?;
    writeln!(
        out,
        "| program | seconds | processor seconds | MB at most |\n|---|---:|---:|---:|"
    )?;
    let mut rows: Vec<(&str, Command)> = Vec::new();
    let report = |log: &Path| {
        let mut command = Command::new(&portwatch);
        command.args(["report", "--format", "json"]).arg(log);
        command
    };
    rows.push(("portwatch report", report(&whole)));
    rows.push(("portwatch report, of a tenth", report(&tenth)));
    let page = directory.path().join("page.html");
    let mut html = Command::new(&portwatch);
    html.arg("report")
        .arg("--force")
        .arg("--html")
        .arg(&page)
        .arg(&whole);
    rows.push(("portwatch report --html", html));
    match duckdb() {
        Some(program) => {
            let mut command = Command::new(program);
            command.args(["-c", DUCKDB]).current_dir(directory.path());
            rows.push(("DuckDB, by cause", command));
        }
        None => say("DuckDB is left out: `cargo xtask setup` installs it")?,
    }
    if Command::new("jq").arg("--version").output().is_ok() {
        let mut command = Command::new("jq");
        command.args(["-n", JQ]).arg(&whole);
        rows.push(("jq, by cause", command));
    } else {
        say("jq is left out: it is not installed")?;
    }
    for (name, mut command) in rows {
        // One is enough of what takes half a minute.
        let rounds = if name.starts_with("jq") {
            1
        } else {
            args.rounds
        };
        let mut costs = Vec::new();
        for _ in 0..rounds {
            costs.push(measure(&mut command).with_context(|| name.to_owned())?);
        }
        let median = |of: fn(&Cost) -> f64| {
            let mut values: Vec<f64> = costs.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        writeln!(
            out,
            "| {name} | {:.2} | {:.2} | {:.0} |",
            median(|cost| cost.wall.as_secs_f64()),
            median(|cost| cost.cpu.as_secs_f64()),
            median(|cost| cost.memory as f64 * 1.024 / 1000.0),
        )?;
    }
    Ok(())
}

const DUCKDB: &str = "\
SELECT verdict.cause, count(*)
FROM read_json('log.jsonl', format = 'newline_delimited', columns = {verdict: 'STRUCT(cause VARCHAR)'})
GROUP BY ALL";

const JQ: &str = "reduce inputs as $record ({}; if $record.verdict then .[$record.verdict.cause] += 1 else . end)";

fn write(path: &Path, records: u64) -> Result<()> {
    say(format!("writing {records} records"))?;
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    // Most are of ports and TIME_WAITs, as in life.
    Log {
        connections: 24,
        copies: 4,
        ..Log::of(records)
    }
    .write(&mut out)?;
    out.flush()?;
    Ok(())
}

fn measure(command: &mut Command) -> Result<Cost> {
    let begin = Instant::now();
    let child = command.stdout(Stdio::null()).stdin(Stdio::null()).spawn()?;
    let (status, usage) = wait(&child)?;
    ensure!(status == 0, "ended with {status}");
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    Ok(Cost {
        wall: begin.elapsed(),
        cpu: time(usage.ru_utime) + time(usage.ru_stime),
        memory: usage.ru_maxrss,
    })
}

/// Waits for the end of a child, which nobody else waits for, and says what it took.
fn wait(child: &Child) -> Result<(i32, libc::rusage)> {
    let (mut status, mut usage) = (0, MaybeUninit::zeroed());
    // SAFETY: both pointers are to values of the type that the call writes.
    let waited = unsafe { libc::wait4(child.id() as i32, &raw mut status, 0, usage.as_mut_ptr()) };
    ensure!(waited == child.id() as i32, std::io::Error::last_os_error());
    // SAFETY: the kernel has written it, and zeroes would be valid, too.
    Ok((status, unsafe { usage.assume_init() }))
}
