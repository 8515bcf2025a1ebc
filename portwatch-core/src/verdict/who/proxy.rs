//! Programs that have sockets for others: service managers, which start a service when somebody connects, and relays,
//! which pass connections on to a container, a pod or another host.
//!
//! The executable says what a process is, and its arguments whom it serves. Both are its own to choose, so they name and
//! prove nothing. Where a program does other things as well, only its arguments make it a relay here.

mod arguments;
mod relay;
pub(in crate::verdict) mod wording;

use crate::prelude::*;
use core::net::IpAddr;

use crate::model::{
    attempt::Blocker,
    process::Process,
    proxy::{Proxy, Role},
    socket::Address,
};

pub(in crate::verdict) use relay::is_relay;

/// Whom a process has a socket for, as far as it says so itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// What it is.
    pub(crate) role: Role,
    /// Where it passes connections on.
    pub(crate) target: Option<Target>,
}

/// Where connections are passed on to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A host that is given by its address.
    Address {
        /// The host.
        addr: IpAddr,
        /// Its port.
        port: u16,
    },
    /// Whatever has a name: a host, a pod, a path.
    Named(String),
    /// All that a network namespace has.
    Namespace {
        /// A process in it; `None` where the relay itself has it open.
        member: Option<u32>,
    },
}

impl Target {
    fn parse(host: &str, port: &str) -> Self {
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        match (bare.parse(), port.parse()) {
            (Ok(addr), Ok(port)) => Self::Address { addr, port },
            _ if bare.contains(':') => Self::Named(format!("[{bare}]:{port}")),
            _ => Self::Named(format!("{bare}:{port}")),
        }
    }

    /// As records spell it; `None` of what is no place to connect to.
    pub(crate) fn text(&self) -> Option<String> {
        match self {
            Self::Address { addr, port } => Some(
                Address {
                    addr: *addr,
                    port: *port,
                }
                .to_string(),
            ),
            Self::Named(name) => Some(name.clone()),
            Self::Namespace { .. } => None,
        }
    }
}

/// On whose behalf this process keeps the socket that is bound to `local`; `None` where nothing says that it is a proxy.
pub(crate) fn of(process: &Process, local: Address) -> Option<Found> {
    let name = program_name(process)?;
    if is_service_manager(process, name) {
        return Some(Found {
            role: Role::ServiceManager,
            target: None,
        });
    }
    relay::of(name, process.cmdline.as_deref().unwrap_or_default(), local)
}

/// These listen for nothing of their own.
fn is_service_manager(process: &Process, name: &str) -> bool {
    match name {
        // Without its path, only the first process is known to be the manager.
        "systemd" => process.exe.is_some() || process.pid == 1,
        "systemd-socket-activate" | "inetd" | "xinetd" => process.exe.is_some(),
        _ => false,
    }
}

/// File name of the executable; where that could not be read, the name of the process.
fn program_name(process: &Process) -> Option<&str> {
    let name = match process.exe.as_deref() {
        Some(exe) => file_name(exe.strip_suffix(" (deleted)").unwrap_or(exe)),
        None => &process.comm,
    };
    (!name.is_empty()).then_some(name)
}

pub(in crate::verdict) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The process that has the socket for others, and what for.
pub(in crate::verdict) fn holder(blocker: &Blocker) -> Option<(&Process, &Proxy)> {
    let behalf = blocker.on_behalf_of.as_ref()?;
    let stands_in = |process: &&Process| {
        of(process, blocker.local).is_some_and(|found| found.role == behalf.role)
    };
    let found = crate::verdict::words::name::holders(blocker)
        .into_iter()
        .find(stands_in)?;
    Some((found, behalf))
}

#[cfg(test)]
mod tests;
