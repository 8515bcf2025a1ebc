//! Words that every text shares: names of errnos and signals, lengths of time, arguments, and the escaping of text that
//! other people chose.

pub mod arguments;
pub mod errno;
pub mod escape;
pub mod signal;
pub mod span;
