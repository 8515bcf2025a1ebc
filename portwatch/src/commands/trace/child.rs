//! The command that is run under trace.

use std::{ffi::OsString, io, os::unix::process::ExitStatusExt, process::ExitStatus};

use anyhow::anyhow;
use tokio::process::{Child, Command};

/// A command that could not be started, and the exit status that says so (as `env(1)` does).
pub(super) struct NotStarted {
    pub(super) status: u8,
    pub(super) error: anyhow::Error,
}

/// Starts the command. It keeps running if portwatch ends first: portwatch only looks.
pub(super) fn spawn(command: &[OsString]) -> Result<Option<Child>, NotStarted> {
    let Some((program, arguments)) = command.split_first() else {
        return Ok(None);
    };
    Command::new(program)
        .args(arguments)
        .spawn()
        .map(Some)
        .map_err(|error| {
            let name = program.to_string_lossy().into_owned();
            let (status, advice) = match error.kind() {
                io::ErrorKind::NotFound => (127, "check its name and PATH"),
                _ => (126, "check that it is a program and may be executed"),
            };
            NotStarted {
                status,
                error: anyhow!("cannot run `{name}`: {error}; {advice}"),
            }
        })
}

/// Waits for the command; for ever if there is none.
pub(super) async fn wait(child: &mut Option<Child>) -> io::Result<ExitStatus> {
    match child {
        Some(child) => child.wait().await,
        None => std::future::pending().await,
    }
}

/// What a shell would return for it.
pub(super) fn code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(code & 0xff).unwrap_or(u8::MAX)
}
