//! Reads logs: files, standard input, sets of rotated files, and several logs at once in the order of their times.
//!
//! One line is in memory at a time, and no longer one than [`lines::LIMIT`]: a log of any size can be read. What is not a
//! record is a [`Problem`] with its place, and everything else is still read.

pub mod input;
pub mod lines;
pub mod merge;
pub mod problem;
pub mod reader;
pub mod run;
pub mod set;

pub use merge::Merged;
pub use problem::{Problem, Tally};
pub use reader::{Entry, Place, Reader};
pub use run::Runs;
pub use set::{Log, logs};
