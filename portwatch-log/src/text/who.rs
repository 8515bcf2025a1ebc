//! How a process is named in text.

use std::fmt;

use super::inheritance::own_pid;
use crate::theme::Theme;
use portwatch_core::{
    model::{
        process::{Container, Process},
        proxy::Proxy,
    },
    words::escape::{escape, quoted},
};

/// Columns of a unit's name, or of a container's that is no hexadecimal id.
const NAME_COLUMNS: usize = 60;
/// Columns of a command line.
const COMMAND_COLUMNS: usize = 120;

/// `java[977] tomcat.service`.
#[derive(Clone, Copy)]
pub(super) struct Who<'a> {
    pub(super) process: &'a Process,
    pub(super) theme: Theme,
}

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            process,
            theme: Theme { process: style, .. },
        } = self;
        write!(f, "{style}{}{style:#}", Short(process))?;
        let container = process.container.as_ref();
        if let Some(unit) = &process.unit {
            // The scope that a container manager makes is named after the container: once is enough.
            if container.is_none_or(|container| !unit.contains(&container.id)) {
                write!(f, " {}", quoted(unit).cut(NAME_COLUMNS))?;
            }
        }
        if let Some(container) = container {
            write!(f, " {}", short_container(container))?;
        }
        own_pid(process).map_or(Ok(()), |own| f.write_str(&own))
    }
}

/// `java[977]`.
pub(super) struct Short<'a>(pub(super) &'a Process);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Process { comm, pid, .. } = self.0;
        if comm.is_empty() {
            write!(f, "pid {pid}")
        } else {
            write!(f, "{}[{pid}]", quoted(comm))
        }
    }
}

fn short_container(container: &Container) -> String {
    let Container {
        id,
        runtime,
        pod: _,
    } = container;
    let runtime = quoted(runtime.as_deref().unwrap_or("container")).cut(NAME_COLUMNS);
    // Twelve digits are what the container tools themselves show and take.
    let short = match id.get(..12) {
        Some(start) if id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) => start,
        _ => id,
    };
    format!("{runtime}:{}", quoted(short).cut(NAME_COLUMNS))
}

/// Whom a process has a socket for, as far as that is known.
pub(super) fn on_behalf_of(behalf: &Proxy) -> Option<String> {
    let Proxy {
        role: _,
        target,
        container,
        unit,
    } = behalf;
    let cut = |text: &str| quoted(text).cut(NAME_COLUMNS).to_string();
    let parts: Vec<String> = [
        unit.as_deref().map(cut),
        container.as_ref().map(short_container),
        target
            .as_deref()
            .map(|target| format!("-> {}", cut(target))),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// The command line, where it says more than the name; cut to a sane width.
pub(super) fn command(process: &Process) -> Option<String> {
    let args = process.cmdline.as_deref()?;
    let (program, rest) = args.split_first()?;
    let says_more = !rest.is_empty() || program.rsplit('/').next() != Some(process.comm.as_str());
    if !says_more {
        return None;
    }
    let whole = if rest.is_empty() {
        // One argument with spaces in it is a title that the process has given itself.
        escape(program).to_string()
    } else {
        args.iter()
            .map(|arg| quoted(arg).to_string())
            .collect::<Vec<_>>()
            .join(" ")
    };
    Some(escape(&whole).cut(COMMAND_COLUMNS).to_string())
}
