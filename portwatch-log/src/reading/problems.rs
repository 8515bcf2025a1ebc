//! What is wrong in the logs and how far it is, on standard error.

use std::io::{IsTerminal, stderr, stdout};

use anyhow::{Result, anyhow};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{Log, Place, Problem, Tally};

/// How many problems of a log are reported one by one.
const TOLD: u64 = 10;
/// Bytes of input from which on progress is shown.
const LARGE: u64 = 16 << 20;

/// When the command writes to standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// All the time: on a terminal that is progress enough.
    Meanwhile,
    /// When everything has been read.
    AtEnd,
}

/// Tells problems, a number of them by itself and the rest together, and shows progress between them.
#[derive(Debug)]
pub struct Problems {
    logs: Vec<OfLog>,
    bar: ProgressBar,
}

/// What was found in one log.
#[derive(Debug)]
struct OfLog {
    /// Its last file: the one that it is known by.
    name: String,
    tally: Tally,
    /// Problems that were not told.
    untold: u64,
}

impl Problems {
    /// Of these logs, which have so many bytes; `None` if one of them is a pipe.
    #[must_use]
    pub fn new(logs: &[Log], size: Option<u64>, output: Output) -> Self {
        let of_log = |log: &Log| OfLog {
            name: log
                .inputs
                .last()
                .map(ToString::to_string)
                .unwrap_or_default(),
            tally: Tally::default(),
            untold: 0,
        };
        Self {
            logs: logs.iter().map(of_log).collect(),
            bar: bar(size, output),
        }
    }

    /// A record of this log was read.
    pub fn record(&mut self, log: usize) {
        self.logs[log].tally.records += 1;
    }

    /// Something is no record, or is missing.
    pub fn tell(&mut self, place: &Place, problem: &Problem) {
        let log = &mut self.logs[place.log];
        log.tally.problem(problem);
        let told = log.tally.skipped.values().sum::<u64>();
        // What concerns a whole run or file is always told.
        if told <= TOLD || problem.kind().is_none() {
            self.bar
                .suspend(|| anstream::eprintln!("portwatch: {place}: {problem}"));
        } else {
            log.untold += 1;
        }
    }

    /// So many bytes have been read.
    pub fn show_progress(&self, bytes: u64) {
        self.bar.set_position(bytes);
    }

    /// Says how much was skipped.
    ///
    /// # Errors
    ///
    /// When there was not one record, or a file could not be read to its end.
    pub fn finish(self) -> Result<()> {
        self.bar.finish_and_clear();
        let mut unread = 0;
        for OfLog {
            name,
            tally,
            untold,
        } in &self.logs
        {
            if *untold > 0 {
                anstream::eprintln!("portwatch: {name}: and {untold} problems more");
            }
            match tally.skipped() {
                Some(skipped) if tally.records == 0 => {
                    anstream::eprintln!("portwatch: {name}: not a log of portwatch: {skipped}");
                }
                Some(skipped) => anstream::eprintln!(
                    "portwatch: {name}: {} records read, {skipped}",
                    tally.records
                ),
                None => {}
            }
            unread += tally.unread;
        }
        if self.logs.iter().all(|log| log.tally.records == 0) {
            return Err(anyhow!(
                "there is no record of portwatch in what was given to read"
            ));
        }
        if unread > 0 {
            return Err(anyhow!("not everything could be read"));
        }
        Ok(())
    }
}

/// Progress for a person who waits.
fn bar(size: Option<u64>, output: Output) -> ProgressBar {
    let waits = stderr().is_terminal() && (output == Output::AtEnd || !stdout().is_terminal());
    if !waits || size.is_some_and(|size| size < LARGE) {
        return ProgressBar::hidden();
    }
    let (bar, template) = match size {
        Some(size) => (
            ProgressBar::new(size),
            "{wide_bar} {percent:>3} % of {total_bytes}, {eta} left",
        ),
        None => (ProgressBar::no_length(), "{bytes} read, {bytes_per_sec}"),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr());
    ProgressStyle::with_template(template)
        .map(|style| bar.clone().with_style(style))
        .unwrap_or(bar)
}
