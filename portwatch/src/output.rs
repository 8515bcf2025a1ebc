//! Where records become lines: JSON for programs, text for people, and the place they are written to.
//!
//! Rendering is a pure function of the records, so a log shows the same text again years later. What a line holds of
//! other people's bytes (process names, arguments, paths) goes through [`escape`].

pub mod errno;
pub mod escape;
pub mod json;
pub mod schema;
pub mod signal;
pub mod sink;
pub mod text;
pub mod theme;

#[cfg(test)]
pub(crate) mod samples;
