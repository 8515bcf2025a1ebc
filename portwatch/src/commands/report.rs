//! `portwatch report`: runs `portwatch-report`, so that the tracer, which runs as root, links nothing of it.

use std::{
    env,
    ffi::OsString,
    io,
    os::unix::{ffi::OsStrExt, process::CommandExt},
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, anyhow};

/// Beside this program, and nowhere else: a search path is other people's to set.
const PROGRAM: &str = "portwatch-report";

/// Becomes `portwatch-report`, with the arguments that follow `report`.
///
/// # Errors
///
/// When it is not there or cannot be run.
pub fn run() -> Result<ExitCode> {
    let own = env::current_exe().context("cannot tell where this program is")?;
    let program = own.with_file_name(PROGRAM);
    let error = Command::new(&program)
        .args(arguments(env::args_os().skip(1)))
        .exec();
    Err(failure(&program, error))
}

/// What follows the command's name. Before it there are only options without a value.
fn arguments(all: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    all.skip_while(|argument| argument.as_bytes().starts_with(b"-"))
        .skip(1)
}

fn failure(program: &Path, error: io::Error) -> anyhow::Error {
    if error.kind() == io::ErrorKind::NotFound {
        return anyhow!(
            "`portwatch report` needs {}, which is not there: it comes with portwatch; put both into one directory",
            program.display()
        );
    }
    anyhow!(error).context(format!("cannot run {}", program.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(arguments: &[&str]) -> Vec<OsString> {
        super::arguments(arguments.iter().map(OsString::from)).collect()
    }

    #[test]
    fn what_follows_the_command_is_passed_on() {
        assert_eq!(after(&["report", "-p", "80", "a"]), ["-p", "80", "a"]);
        assert_eq!(after(&["-v", "rep", "report"]), ["report"]);
    }

    #[test]
    fn a_program_that_is_missing_is_named() {
        let error = failure(
            Path::new("/x/portwatch-report"),
            io::ErrorKind::NotFound.into(),
        );
        assert!(error.to_string().contains("/x/portwatch-report"));
    }
}
