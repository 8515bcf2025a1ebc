//! How a command ends that could not do its work.

use std::process::ExitCode;

/// Exit status of an error.
const ERROR: u8 = 2;

/// Says on standard error what went wrong and why; the exit status for it.
#[must_use]
pub fn tell(error: &anyhow::Error) -> ExitCode {
    anstream::eprintln!("portwatch: {}", chain(error));
    ExitCode::from(ERROR)
}

/// An error and its causes in one line; a cause that an error's own words contain is not said twice.
fn chain(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for text in error.chain().map(ToString::to_string) {
        if !line.contains(&text) {
            if !line.is_empty() {
                line.push_str(": ");
            }
            line.push_str(&text);
        }
    }
    line
}
