//! How a socket came to who has it, and whether its owner was asked to end.

use std::fmt::Write;

use super::who::Short;
use portwatch_core::words::span::span;
use portwatch_core::{
    model::{
        attempt::Blocker,
        inheritance::{Inheritance, Step, Via},
        process::{Process, Stopping},
    },
    words::escape::quoted,
};

/// How many steps a line names before it counts the rest.
const NAMED: usize = 6;

/// `python3[77] (exited) > fork sh[80] > exec sleep[80]`; `None` where who bound it has it open and nothing was executed.
pub(super) fn came_by(blocker: &Blocker) -> Option<String> {
    let Inheritance {
        from,
        from_alive,
        to: _,
        steps,
    } = blocker.inherited.as_deref()?;
    let mut line = Short(from).to_string();
    if *from_alive == Some(false) {
        line.push_str(" (exited)");
    }
    for Step { how, pid, comm, .. } in steps.iter().take(NAMED) {
        let how = match how {
            Via::Fork => "fork",
            Via::Exec => "exec",
        };
        // Writing to memory does not fail.
        let _ = write!(line, " > {how} {}[{pid}]", quoted(comm));
    }
    if let Some(more @ 1..) = steps.len().checked_sub(NAMED) {
        let _ = write!(line, " > {more} more");
    }
    Some(line)
}

/// `SIGTERM 3.2 s ago, by systemd[1]`.
pub(super) fn signalled(blocker: &Blocker) -> Option<String> {
    let Stopping {
        signal, ago_ms, by, ..
    } = blocker.owner.as_ref()?.stopping.as_ref()?;
    let ago = span(ago_ms.saturating_mul(1_000_000));
    let by = by.as_ref().map(|by| format!(", by {}", Short(by)));
    Some(format!(
        "{} {ago} ago{}",
        quoted(signal),
        by.unwrap_or_default()
    ))
}

/// ` (1 in its container)`: what a process calls its own pid, where that is another number.
pub(super) fn own_pid(process: &Process) -> Option<String> {
    let pid = process.ns_pid?;
    let place = if process.container.is_some() {
        "container"
    } else {
        "pid namespace"
    };
    Some(format!(" ({pid} in its {place})"))
}
