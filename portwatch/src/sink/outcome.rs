//! What becomes of records, and what the user hears of it.

use std::io;

use thiserror::Error;

use super::open::{OpenError, Repair};

/// What became of the records that were due to be written.
#[derive(Debug)]
#[must_use]
pub enum Outcome {
    /// Nothing to tell.
    Fine,
    /// The reader has gone (a closed pipe): a normal end, nothing more will be written.
    Closed,
    /// Something has just stopped working: to be reported once.
    Failed(Trouble),
    /// Writing works again, and the log says how many records are missing.
    Recovered {
        /// Where to.
        name: String,
        /// How many.
        dropped: u64,
    },
    /// The file had been removed, and was made again.
    MadeAnew {
        /// Which.
        name: String,
    },
    /// The file that is written now did not end with a whole line.
    Repaired(Repair),
}

impl Outcome {
    /// Of two things that happened, the one to tell.
    pub(super) fn then(self, later: Self) -> Self {
        match (&self, &later) {
            (_, Self::Closed)
            | (Self::Fine, _)
            | (Self::Recovered { .. } | Self::MadeAnew { .. }, Self::Failed(_)) => later,
            _ => self,
        }
    }
}

/// What does not work.
#[derive(Debug, Error)]
pub enum Trouble {
    /// Records cannot be written.
    #[error("cannot write to {name}: {source}; records are dropped and counted until {}", until(.source))]
    Write {
        /// Where to.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The file has gone, and with it the place to write to.
    #[error("{name} was removed and cannot be made again: {}; records are dropped and counted until it can be", .source.why())]
    Removed {
        /// The file.
        name: String,
        /// Why.
        source: OpenError,
    },
    /// Records are written still.
    #[error("{name} cannot be rotated: {why}; it grows until that works")]
    NotRotated {
        /// The file.
        name: String,
        /// Why.
        why: String,
    },
    /// Records are written still.
    #[error("{source}; records still go to the file that was opened before")]
    NotReopened {
        /// Why.
        source: OpenError,
    },
}

impl Trouble {
    pub(super) fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Write { source, .. }
            | Self::Removed {
                source: OpenError::Io { source, .. },
                ..
            } => source.kind(),
            _ => io::ErrorKind::Other,
        }
    }
}

fn until(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "there is room; free some space"
        }
        _ => "writing works again",
    }
}
