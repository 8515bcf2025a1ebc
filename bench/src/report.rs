//! The result, for people and for programs.

mod table;

use std::{fs, path::Path, process::Command};

use anyhow::Result;
use nix::sys::utsname::uname;
use serde::Serialize;

use self::table::{Style, table};
use super::{
    arena::Work,
    figures::Summary,
    plan::{Aim, Plan},
    programs::Runs,
};

/// Measurements of one work with one tracer.
#[derive(Clone, Debug)]
pub(super) struct Row {
    work: Work,
    traced_by: String,
    aim: Option<Aim>,
    /// Untraced and traced, nanoseconds of an operation; one for each round.
    pairs: Vec<(f64, f64)>,
}

/// What they say.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Cost {
    work: Work,
    traced_by: String,
    untraced_ns: Summary,
    traced_ns: Summary,
    added_ns: Summary,
    ratio: Summary,
    aim: Option<Aim>,
    met: Option<bool>,
}

impl Row {
    pub(super) const fn new(work: Work, traced_by: String, aim: Option<Aim>) -> Self {
        Self {
            work,
            traced_by,
            aim,
            pairs: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, pair: (f64, f64)) {
        self.pairs.push(pair);
    }

    pub(super) fn summarize(&self) -> Cost {
        let of = |figure: fn(f64, f64) -> f64| {
            Summary::of(self.pairs.iter().map(|(u, t)| figure(*u, *t)))
        };
        let added_ns = of(|untraced, traced| traced - untraced);
        let ratio = of(|untraced, traced| traced / untraced);
        let met = self.aim.map(|aim| match aim {
            Aim::Ratio(most) => ratio.median <= most,
            Aim::AddedUs(most) => added_ns.median <= most * 1000.0,
        });
        Cost {
            work: self.work,
            traced_by: self.traced_by.clone(),
            untraced_ns: of(|untraced, _| untraced),
            traced_ns: of(|_, traced| traced),
            added_ns,
            ratio,
            aim: self.aim,
            met,
        }
    }
}

/// A BPF program during some work.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ProgramRow {
    work: Work,
    traced_by: String,
    program: String,
    runs_per_operation: f64,
    ns_per_run: f64,
}

impl ProgramRow {
    /// Those that the work makes run.
    pub(super) fn of(
        plan: &Plan,
        work: Work,
        runs: Vec<Runs>,
        operations: usize,
    ) -> impl Iterator<Item = Self> {
        let row = move |program: Runs| Self {
            work,
            traced_by: plan.tracer.name(),
            program: program.name,
            runs_per_operation: program.count as f64 / operations as f64,
            ns_per_run: program.ns as f64 / program.count as f64,
        };
        // Other processes of the machine make programs run, too.
        runs.into_iter()
            .map(row)
            .filter(|row| row.runs_per_operation > 0.5)
    }
}

/// Where it was measured.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Machine {
    kernel: String,
    processor: String,
    processors: usize,
    portwatch: String,
}

impl Machine {
    pub(super) fn read(portwatch: &Path) -> Result<Self> {
        let name = uname()?;
        let processors = fs::read_to_string("/proc/cpuinfo")?;
        let model = processors
            .lines()
            .find(|line| line.starts_with("model name"));
        let model = model.and_then(|line| line.split_once(": "));
        let version = Command::new(portwatch).arg("--version").output()?.stdout;
        Ok(Self {
            kernel: format!(
                "Linux {} {}",
                name.release().to_string_lossy(),
                name.machine().to_string_lossy()
            ),
            processor: model
                .map_or("unknown processor", |(_, model)| model)
                .to_owned(),
            processors: std::thread::available_parallelism()?.get(),
            portwatch: String::from_utf8_lossy(&version).trim().to_owned(),
        })
    }
}

/// Everything.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    pub(super) machine: Machine,
    pub(super) rounds: u32,
    /// How many `TIME_WAIT`s were on the port of refusals among them.
    pub(super) time_waits: u32,
    pub(super) rows: Vec<Cost>,
    pub(super) programs: Vec<ProgramRow>,
    pub(super) refusals: u64,
    pub(super) listeners_named: u64,
    pub(super) attempts_seen: u64,
    pub(super) attempts_lost: u64,
}

impl Report {
    /// Columns.
    pub(super) fn text(&self) -> String {
        self.render(Style::Text)
    }

    /// Tables for a document.
    pub(super) fn markdown(&self) -> String {
        self.render(Style::Markdown)
    }

    fn render(&self, style: Style) -> String {
        [
            self.machine(),
            table(style, &COSTS, self.rows.iter().map(Cost::cells)),
            table(
                style,
                &PROGRAMS,
                self.programs.iter().map(ProgramRow::cells),
            ),
            self.notes(),
        ]
        .join("\n")
    }

    fn machine(&self) -> String {
        let Machine {
            kernel,
            processor,
            processors,
            portwatch,
        } = &self.machine;
        let rounds = self.rounds;
        format!("{portwatch}, {kernel}, {processors} x {processor}; medians of {rounds} rounds\n")
    }

    fn notes(&self) -> String {
        let Self {
            time_waits,
            refusals,
            listeners_named,
            attempts_seen,
            attempts_lost,
            ..
        } = self;
        let notes = [
            format!(
                "TIME_WAITs on the port of a \"{}\": {time_waits}",
                Work::RefusalAmongTimeWaits.name()
            ),
            format!(
                "refusals recorded: {refusals}; the listener is named as the first blocker in {listeners_named}"
            ),
            format!("attempts seen: {attempts_seen}; lost for want of room: {attempts_lost}"),
        ];
        let lines = notes.iter().map(|note| format!("- {note}\n"));
        lines.collect()
    }
}

const COSTS: [&str; 9] = [
    "work",
    "traced by",
    "untraced ns",
    "traced ns",
    "added ns",
    "ratio",
    "least to greatest",
    "aim",
    "met",
];

impl Cost {
    fn cells(&self) -> Vec<String> {
        let ns = |summary: &Summary| format!("{:.0}", summary.median);
        vec![
            self.work.name().to_owned(),
            self.traced_by.clone(),
            ns(&self.untraced_ns),
            ns(&self.traced_ns),
            ns(&self.added_ns),
            format!("{:.2}", self.ratio.median),
            format!("{:.2} to {:.2}", self.ratio.min, self.ratio.max),
            match self.aim {
                Some(Aim::Ratio(most)) => format!("{most:.2}"),
                Some(Aim::AddedUs(most)) => format!("{:.0} ns added", most * 1000.0),
                None => String::new(),
            },
            match self.met {
                Some(true) => "yes",
                Some(false) => "NO",
                None => "",
            }
            .to_owned(),
        ]
    }
}

const PROGRAMS: [&str; 5] = [
    "work",
    "traced by",
    "BPF program",
    "runs per operation",
    "ns per run",
];

impl ProgramRow {
    fn cells(&self) -> Vec<String> {
        vec![
            self.work.name().to_owned(),
            self.traced_by.clone(),
            self.program.clone(),
            format!("{:.2}", self.runs_per_operation),
            format!("{:.0}", self.ns_per_run),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(aim: Aim, pairs: &[(f64, f64)]) -> Option<bool> {
        let mut row = Row::new(Work::Bind, "portwatch".into(), Some(aim));
        for pair in pairs {
            row.add(*pair);
        }
        row.summarize().met
    }

    #[test]
    fn a_disturbed_round_does_not_decide() {
        let pairs = [(1000.0, 1100.0), (2000.0, 2200.0), (1000.0, 9000.0)];
        assert_eq!(met(Aim::Ratio(1.2), &pairs), Some(true));
        assert_eq!(met(Aim::Ratio(1.05), &pairs), Some(false));
        assert_eq!(met(Aim::AddedUs(0.2), &pairs), Some(true));
        assert_eq!(met(Aim::AddedUs(0.1), &pairs), Some(false));
    }
}
