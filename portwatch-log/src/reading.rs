//! Reading logs for a command: problems and progress on standard error, records to the caller.

pub mod problems;

use std::path::PathBuf;

use anyhow::Result;

use self::problems::{Output, Problems};
use crate::{Merged, Place, logs};
use portwatch_core::model::record::Record;

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
    /// As of an [`Entry`](crate::Entry).
    pub continues: bool,
}

/// Logs that are being read.
#[derive(Debug)]
pub struct Reading {
    merged: Merged,
    problems: Problems,
    entries: u64,
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
        Ok(Self {
            problems: Problems::new(&sets, merged.size(), Output::Meanwhile),
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
        self.problems.finish()
    }

    fn show_progress(&mut self) {
        self.entries += 1;
        if self.entries.is_multiple_of(STEP) {
            self.problems.show_progress(self.merged.read());
        }
    }
}

impl Iterator for Reading {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            let entry = self.merged.next()?;
            self.show_progress();
            match entry.found {
                Ok(record) => {
                    self.problems.record(entry.place.log);
                    return Some(Found {
                        place: entry.place,
                        record,
                        text: entry.text,
                        continues: entry.continues,
                    });
                }
                Err(problem) => self.problems.tell(&entry.place, &problem),
            }
        }
    }
}
