//! How processes and sockets are named in a verdict.
//!
//! Names come from other people's programs, so everything of theirs goes through [`escape`] here.

use crate::prelude::*;
use crate::{
    model::{
        attempt::{Attempt, Blocker},
        process::{Ancestor, Container, Process, Stopping},
        socket::{Address, State},
    },
    words::{
        escape::{escape, quoted},
        span::span,
    },
};

use crate::verdict::who::same_service;

/// How many processes are named before the rest is counted.
const NAMED: usize = 6;

/// Digits of a container's id that the container tools themselves show and take.
const CONTAINER_DIGITS: usize = 12;

/// `java[977]`.
pub(in crate::verdict) fn process(process: &Process) -> String {
    let Process { comm, pid, .. } = process;
    if comm.is_empty() {
        format!("pid {pid}")
    } else {
        format!("{}[{pid}]", quoted(comm))
    }
}

/// The same of a process that another one comes from.
pub(in crate::verdict) fn ancestor(ancestor: &Ancestor) -> String {
    format!("{}[{}]", quoted(&ancestor.comm), ancestor.pid)
}

/// Who made an attempt: `java[977]`, or the kernel, with the process in which it did.
pub(in crate::verdict) fn caller(attempt: &Attempt) -> String {
    let name = process(&attempt.process);
    if attempt.facts.kernel {
        format!("the kernel, in {name}")
    } else {
        name
    }
}

/// Where an attempt wanted to be: `0.0.0.0:80`, or a path; `None` where that was not seen.
pub(in crate::verdict) fn requested(attempt: &Attempt) -> Option<String> {
    let addr = attempt.addr.as_deref().filter(|addr| !addr.is_empty())?;
    Some(match (addr.parse(), attempt.port) {
        (Ok(addr), Some(port)) => Address { addr, port }.to_string(),
        _ => text(addr),
    })
}

/// `java[977] (tomcat.service)`: with what it can be stopped by.
pub(in crate::verdict) fn process_and_service(process: &Process) -> String {
    let name = self::process(process);
    match (same_service::unit(process), &process.container) {
        (_, Some(found)) => format!("{name} ({})", container(found)),
        (Some(unit), None) => format!("{name} ({})", escape(unit)),
        (None, None) => name,
    }
}

/// `was sent SIGTERM 3.2 s ago by systemd[1]`. What comes of that nobody knows yet.
pub(in crate::verdict) fn stopping(stopping: &Stopping) -> String {
    let Stopping {
        signal, ago_ms, by, ..
    } = stopping;
    let by = match by {
        Some(by) => format!(" by {}", process(by)),
        None => String::new(),
    };
    format!(
        "was sent {} {} ago{by}",
        escape(signal),
        span(ago_ms.saturating_mul(1_000_000))
    )
}

pub(in crate::verdict) fn container(container: &Container) -> String {
    let Container {
        id,
        runtime,
        pod: _,
    } = container;
    let runtime = runtime.as_deref().unwrap_or("container");
    format!(
        "{}:{}",
        escape(runtime),
        escape(id.get(..CONTAINER_DIGITS).unwrap_or(id))
    )
}

/// Any other text of a process: a path, an argument.
pub(in crate::verdict) fn text(text: &str) -> String {
    quoted(text).to_string()
}

/// The processes to act on: those that have the socket open, the owner first; where no descriptor was found, who keeps it
/// open, else the owner, unless it has ended.
pub(in crate::verdict) fn holders(blocker: &Blocker) -> Vec<&Process> {
    if let Some(kept) = &blocker.kept_by {
        return vec![&kept.process];
    }
    let owner = blocker.owner.as_ref();
    let mut found: Vec<&Process> = Vec::new();
    for holder in &blocker.holders {
        if found.iter().any(|process| process.is_same(&holder.process)) {
            continue;
        }
        if owner.is_some_and(|owner| owner.process.is_same(&holder.process)) {
            found.insert(0, &holder.process);
        } else {
            found.push(&holder.process);
        }
    }
    if found.is_empty() {
        found.extend(
            owner
                .filter(|owner| owner.alive != Some(false))
                .map(|owner| &owner.process),
        );
    }
    found
}

/// Who has the socket, as the subject of a sentence.
pub(in crate::verdict) fn subject(blocker: &Blocker) -> String {
    let holders = holders(blocker);
    match (holders.split_first(), &blocker.owner) {
        _ if blocker.kernel_socket => "the kernel itself".to_owned(),
        (Some((first, [])), _) => process(first),
        (Some((first, [_])), _) => format!("{} (and one more process)", process(first)),
        (Some((first, more)), _) => {
            format!("{} (and {} more processes)", process(first), more.len())
        }
        (None, Some(owner)) => format!("{} (which has ended)", process(&owner.process)),
        (None, None) => "a process that could not be named".to_owned(),
    }
}

/// `a[1], b[2] and c[3]`.
pub(in crate::verdict) fn list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] if names.len() <= NAMED => format!("{} and {last}", first.join(", ")),
        _ => format!(
            "{} and {} more",
            names[..NAMED].join(", "),
            names.len() - NAMED
        ),
    }
}

/// As `ss` spells it.
pub(in crate::verdict) fn state(state: State) -> String {
    state.as_str().to_ascii_uppercase()
}
