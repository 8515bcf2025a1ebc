//! What `trace`, `replay` and `report` share.
//!
//! A record becomes a line: [`json`] for programs, [`text`] for people, in the colours of [`theme`]. Rendering is a pure
//! function of the records, so a log shows the same text again years later. [`schema`] describes the JSON.
//!
//! Logs are read again: [`input`] opens files, standard input and compressed files, [`set`] puts rotated files together,
//! [`reader`] makes records of [`lines`], [`merge`] orders several logs by time, [`run`] tells the runs of portwatch apart.
//! One line is in memory at a time, and no longer one than [`lines::LIMIT`]: a log of any size can be read. What is not a
//! record is a [`Problem`] with its place, and everything else is still read. [`reading`] does all of that for a command,
//! with problems and progress on standard error; [`cli`] has the arguments
//! of such commands, [`error`] how they fail.

pub mod cli;
pub mod error;
pub mod input;
pub mod json;
pub mod lines;
pub mod merge;
pub mod problem;
pub mod reader;
pub mod reading;
pub mod run;
pub mod schema;
pub mod set;
pub mod text;
pub mod theme;

pub use merge::Merged;
pub use problem::{Problem, Tally};
pub use reader::{Entry, Place, Reader};
pub use run::Runs;
pub use set::{Log, logs};
