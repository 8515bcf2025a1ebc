//! Reading logs for a command: problems and progress on standard error, records to the caller.

use std::{
    io::{IsTerminal, stderr, stdout},
    path::PathBuf,
};

use anyhow::{Result, anyhow};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{
    log::{Merged, Place, Problem, Tally, logs},
    model::record::Record,
};

/// How many problems of a log are told one by one.
const TOLD: u64 = 10;
/// Bytes of input from which on progress is shown.
const LARGE: u64 = 16 << 20;
/// Entries between two looks at how far it is.
const STEP: u64 = 64;

/// A record that was read.
#[derive(Debug)]
pub struct Found {
    /// Where.
    pub place: Place,
    /// The record.
    pub record: Record,
    /// As it is written there.
    pub text: String,
    /// As of an [`Entry`](crate::log::Entry).
    pub continues: bool,
}

/// Logs that are being read.
#[derive(Debug)]
pub struct Reading {
    merged: Merged,
    bar: ProgressBar,
    entries: u64,
    logs: Vec<OfLog>,
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

impl Reading {
    /// Opens these files. With `rotated`, also those that they were rotated to.
    ///
    /// # Errors
    ///
    /// When one of them cannot be opened.
    pub fn open(paths: Vec<PathBuf>, rotated: bool) -> Result<Self> {
        let sets = logs(paths, rotated);
        let merged = Merged::open(&sets)?;
        let logs = sets.iter().map(|set| OfLog {
            name: set
                .inputs
                .last()
                .map(ToString::to_string)
                .unwrap_or_default(),
            tally: Tally::default(),
            untold: 0,
        });
        Ok(Self {
            logs: logs.collect(),
            bar: bar(merged.size()),
            merged,
            entries: 0,
        })
    }

    /// Hosts of the logs that begin with a `start` record, before anything has been read.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.merged.hosts()
    }

    /// Says on standard error how much was skipped.
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

    fn show_progress(&mut self) {
        self.entries += 1;
        if self.entries.is_multiple_of(STEP) {
            self.bar.set_position(self.merged.read());
        }
    }

    fn tell(&mut self, place: &Place, problem: &Problem) {
        let log = &mut self.logs[place.log];
        let told = log.tally.skipped.values().sum::<u64>();
        // What concerns a whole run or file is always told.
        if told <= TOLD || problem.kind().is_none() {
            self.bar
                .suspend(|| anstream::eprintln!("portwatch: {place}: {problem}"));
        } else {
            log.untold += 1;
        }
    }
}

impl Iterator for Reading {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            let entry = self.merged.next()?;
            self.show_progress();
            self.logs[entry.place.log].tally.count(&entry.found);
            match entry.found {
                Ok(record) => {
                    return Some(Found {
                        place: entry.place,
                        record,
                        text: entry.text,
                        continues: entry.continues,
                    });
                }
                Err(problem) => self.tell(&entry.place, &problem),
            }
        }
    }
}

/// Progress for a person who waits: what is written to a terminal is progress enough.
fn bar(size: Option<u64>) -> ProgressBar {
    let waits = stderr().is_terminal() && !stdout().is_terminal();
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
