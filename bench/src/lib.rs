//! What tracing costs: the same work, traced and untraced in turns.
//!
//! A round measures each tracer once: the work without it and the work with it, one directly after the other, in
//! changing order. Each round gives a ratio, and the median of the rounds' ratios is the result: a machine that gets
//! slower or faster meanwhile changes both sides of a pair, and the spread shows how much it is to be trusted.

#![expect(
    clippy::missing_errors_doc,
    reason = "they fail when the kernel or portwatch does not do what a measurement needs"
)]
#![expect(
    clippy::cast_precision_loss,
    reason = "nanoseconds and counts lie far below 2^53"
)]

mod arena;
mod figures;
mod load;
pub mod log;
mod plan;
mod programs;
mod report;
mod tracer;

use std::{
    io::{Write, stderr, stdout},
    path::Path,
};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use nix::unistd::geteuid;

use self::{
    arena::{Arena, Size, Work},
    plan::Plan,
    report::{Machine, ProgramRow, Report, Row},
    tracer::Told,
};
use portwatch_tests::harness::portwatch_binary;

/// What to measure, and how to tell it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct BenchArgs {
    /// How often each pair is measured; the results are medians
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Few rounds of little work: shows that it works, not what it costs
    #[arg(long)]
    quick: bool,
    /// Only tracers that have this in their name
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// How the result is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

const EXAMPLES: &str = "\
Examples:
  bench tracing
  bench tracing --rounds 25 --format markdown
  bench tracing --only failures
  bench tracing --quick --format json | jq '.rows[] | select(.met == false)'

The portwatch that is measured is the one that PORTWATCH_BIN names, else the one beside this program. bpftrace is measured
beside it where it is installed. Traffic stays in network namespaces of its own.";

/// How the result is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Columns.
    Text,
    /// Tables for docs/performance.md.
    Markdown,
    /// One JSON object.
    Json,
}

/// Measures, and prints the result.
pub fn run(args: &BenchArgs) -> Result<()> {
    ensure!(geteuid().is_root(), "tracing needs root");
    let portwatch = portwatch_binary()?;
    let (rounds, size) = if args.quick {
        (args.rounds.min(2), Size::QUICK)
    } else {
        (args.rounds, Size::FULL)
    };
    let mut bench = Bench {
        portwatch: &portwatch,
        arena: Arena::new()?,
        crowd: Arena::new()?,
        size,
        told: Told::default(),
    };
    let mut plans = plan::plans(&portwatch)?;
    plans.retain(|plan| plan.tracer.name().contains(&args.only));
    let mut rows: Vec<Row> = plans.iter().flat_map(Plan::rows).collect();
    for round in 0..rounds {
        say(format!("round {} of {rounds}", round + 1))?;
        let mut places = rows.iter_mut();
        for plan in &plans {
            let pair = bench.pair(plan, round % 2 == 1);
            let [untraced, traced] = pair.with_context(|| plan.tracer.name())?;
            // In this order: the last step of `zip` takes one of its first side that it does not give.
            for (pair, row) in untraced.into_iter().zip(traced).zip(places.by_ref()) {
                row.add(pair);
            }
        }
    }
    say("time of each BPF program")?;
    let mut programs = Vec::new();
    for plan in &plans {
        let runs = bench.programs(plan);
        programs.extend(runs.with_context(|| plan.tracer.name())?);
    }
    let report = Report {
        machine: Machine::read(&portwatch)?,
        rounds,
        time_waits: size.time_waits,
        rows: rows.iter().map(Row::summarize).collect(),
        programs,
        refusals: bench.told.refusals,
        listeners_named: bench.told.listeners_named,
        attempts_seen: bench.told.seen,
        attempts_lost: bench.told.lost,
    };
    match args.format {
        Format::Text => write!(stdout(), "{}", report.text())?,
        Format::Markdown => write!(stdout(), "{}", report.markdown())?,
        Format::Json => writeln!(stdout(), "{}", serde_json::to_string_pretty(&report)?)?,
    }
    Ok(())
}

fn say(line: impl AsRef<str>) -> Result<()> {
    Ok(writeln!(stderr(), "{}", line.as_ref())?)
}

/// How often a pair is measured again when another portwatch was tracing meanwhile.
const TRIES: u32 = 20;

struct Bench<'a> {
    portwatch: &'a Path,
    /// Where most of the work is done.
    arena: Arena,
    /// Where `TIME_WAIT`s are counted, so that those of other work do not count.
    crowd: Arena,
    size: Size,
    told: Told,
}

impl Bench<'_> {
    /// Does a plan's work untraced and traced. Nanoseconds of each of its works.
    fn pair(&mut self, plan: &Plan, traced_first: bool) -> Result<[Vec<f64>; 2]> {
        for _ in 0..TRIES {
            let early = traced_first.then(|| self.traced(plan)).transpose()?;
            let untraced = self.untraced(plan)?;
            let traced = early.map_or_else(|| self.traced(plan), Ok)?;
            if let Some(times) = untraced {
                return Ok([times, traced]);
            }
        }
        bail!("another portwatch is tracing, so that nothing here is untraced: end it first")
    }

    /// `None` if another portwatch was tracing.
    fn untraced(&self, plan: &Plan) -> Result<Option<Vec<f64>>> {
        self.prepare(plan)?;
        let before = programs::is_portwatch_loaded();
        let times = self.work(plan)?;
        Ok((!before && !programs::is_portwatch_loaded()).then_some(times))
    }

    fn traced(&mut self, plan: &Plan) -> Result<Vec<f64>> {
        self.prepare(plan)?;
        let tracing = plan.tracer.start(self.portwatch)?;
        let times = self.work(plan)?;
        self.told.add(&tracing.finish()?);
        Ok(times)
    }

    /// The connections that leave `TIME_WAIT`s are never traced: they would fill the log.
    fn prepare(&self, plan: &Plan) -> Result<()> {
        if plan.works().any(|work| work == Work::RefusalAmongTimeWaits) {
            self.crowd.crowd(self.size.time_waits)?;
        }
        Ok(())
    }

    fn work(&self, plan: &Plan) -> Result<Vec<f64>> {
        plan.works()
            .map(|work| self.place(work).time(work, self.size))
            .collect()
    }

    fn place(&self, work: Work) -> &Arena {
        if work == Work::RefusalAmongTimeWaits {
            &self.crowd
        } else {
            &self.arena
        }
    }

    /// How long each BPF program of the plan's tracer runs. Not in a round: to count costs time, too.
    fn programs(&self, plan: &Plan) -> Result<Vec<ProgramRow>> {
        self.prepare(plan)?;
        let tracing = plan.tracer.start(self.portwatch)?;
        let pid = tracing.pid();
        let mut rows = Vec::new();
        for work in plan.works() {
            let runs = programs::measure(pid, || self.place(work).time(work, self.size))?;
            rows.extend(ProgramRow::of(plan, work, runs, work.operations(self.size)));
        }
        tracing.finish()?;
        Ok(rows)
    }
}
