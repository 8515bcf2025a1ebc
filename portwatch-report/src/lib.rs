//! What logs say as a whole: totals, episodes, and who had each port when.
//!
//! [`read`] takes lines, several blocks at once; [`gather`] adds them up in their order, within bounds; [`summary`],
//! [`text`], [`markdown`] and [`html`] show what was found. All of it is a function of the log alone. [`command`] puts it
//! together.
//!
//! A program of its own, `portwatch-report`, which `portwatch report` runs: so the tracer, which runs as root, links
//! nothing of it.

pub mod command;
pub mod episodes;
pub mod gather;
pub mod html;
pub mod lane;
pub mod line;
pub mod markdown;
pub mod names;
pub mod read;
pub mod summary;
pub mod tally;
pub mod text;
pub mod time;
mod words;

#[cfg(test)]
mod samples;
