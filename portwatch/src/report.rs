//! What a log says as a whole: totals, stories, and who had each port when.
//!
//! [`read`] takes lines, several blocks at once; [`gather`] adds them up in their order, within bounds; [`summary`],
//! [`text`], [`markdown`] and [`html`] show what was found. All of it is a function of the log alone.

pub mod gather;
pub mod html;
pub mod lane;
pub mod line;
pub mod markdown;
pub mod names;
pub mod read;
pub mod stories;
pub mod summary;
pub mod tally;
pub mod text;
pub mod time;
mod words;

#[cfg(test)]
mod samples;
