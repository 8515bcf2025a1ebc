//! Sockets that are held for others, in words.

use super::file_name;
use crate::prelude::*;
use crate::{
    model::{
        attempt::Blocker,
        process::Process,
        proxy::{Proxy, Role},
    },
    verdict::words::name,
};

/// Who has it, and for whom. `place` is where it is bound.
pub(in crate::verdict) fn summary(
    blocker: &Blocker,
    holder: &Process,
    behalf: &Proxy,
    udp: bool,
    place: &str,
) -> String {
    let listens = if udp { "has UDP" } else { "listens on" };
    let who = name::process(holder);
    let more = name::holders(blocker).len().saturating_sub(1);
    let shared = match more {
        0 => String::new(),
        1 => "; one more process has that socket too".to_owned(),
        _ => format!("; {more} more processes have that socket too"),
    };
    format!(
        "{who} {listens} {place}, for {}{shared}",
        whom(holder, behalf)
    )
}

fn whom(holder: &Process, behalf: &Proxy) -> String {
    match (behalf.role, &behalf.unit) {
        (Role::ServiceManager, Some(unit)) => format!("{} (socket activation)", name::text(unit)),
        (Role::ServiceManager, None) => service(holder).to_owned(),
        (Role::PortProxy, _) => behind(behalf).unwrap_or_else(|| {
            "others: it passes connections on, and its arguments do not say where".to_owned()
        }),
    }
}

/// What a manager without the unit's name has sockets for.
fn service(manager: &Process) -> &'static str {
    if is_systemd(manager) {
        "a socket unit of its own (socket activation)"
    } else {
        "a service that it starts when somebody connects (socket activation)"
    }
}

fn is_systemd(manager: &Process) -> bool {
    match manager.exe.as_deref() {
        Some(exe) => file_name(exe) == "systemd",
        None => manager.comm == "systemd",
    }
}

/// The container, the target, or both.
fn behind(behalf: &Proxy) -> Option<String> {
    match (&behalf.container, &behalf.target) {
        (Some(container), Some(target)) => Some(format!(
            "the container {} at {}",
            name::container(container),
            name::text(target)
        )),
        (Some(container), None) => Some(format!("the container {}", name::container(container))),
        (None, Some(target)) => Some(name::text(target)),
        (None, None) => None,
    }
}

/// The order that makes its holder close the socket; `None` for a socket that nobody holds for others.
pub(in crate::verdict) fn stop(blocker: &Blocker) -> Option<String> {
    let (holder, behalf) = super::holder(blocker)?;
    let who = name::process(holder);
    Some(match (behalf.role, &behalf.unit, &behalf.container) {
        (Role::ServiceManager, Some(unit), _) => {
            let unit = name::text(unit);
            format!("stop and disable {unit} (systemctl disable --now {unit})")
        }
        (Role::ServiceManager, None, _) if is_systemd(holder) => {
            let user = if is_user_manager(holder) {
                "--user "
            } else {
                ""
            };
            format!(
                "stop and disable the socket unit that {who} listens for (systemctl {user}list-sockets names it)"
            )
        }
        (Role::ServiceManager, None, _) => {
            format!("stop {who}, or take this port out of what it listens for")
        }
        (Role::PortProxy, _, Some(container)) => format!(
            "stop the container {}, or publish another port for it",
            name::container(container)
        ),
        (Role::PortProxy, _, None) => relay(holder, behalf),
    })
}

/// How to end a relay whose container is not known.
fn relay(holder: &Process, behalf: &Proxy) -> String {
    let who = name::process_and_service(holder);
    let exe = holder
        .exe
        .as_deref()
        .map_or(holder.comm.as_str(), file_name);
    match (exe, &behalf.target) {
        ("docker-proxy", Some(target)) => format!(
            "stop the container at {}, or publish another port for it",
            name::text(target)
        ),
        (
            "docker-proxy" | "rootlessport" | "rootlesskit" | "slirp4netns" | "pasta"
            | "pasta.avx2",
            _,
        ) => format!("stop the container behind {who}, or publish another port for it"),
        ("ssh", _) => format!("end {who}, or have it forward another local port"),
        ("sshd" | "sshd-session", _) => {
            format!("end the SSH session of {who}, or have it forward another port")
        }
        ("kubectl" | "oc", _) => format!("end {who}, or have it forward from another local port"),
        _ => format!("end {who}, or have it listen on another port"),
    }
}

fn is_user_manager(holder: &Process) -> bool {
    holder
        .cmdline
        .as_ref()
        .is_some_and(|args| args.iter().any(|arg| arg == "--user"))
}

/// The other way: a service that takes the socket instead of its own.
pub(in crate::verdict) fn take_over(blocker: &Blocker) -> Option<String> {
    let (holder, behalf) = super::holder(blocker)?;
    let exe = holder
        .exe
        .as_deref()
        .map_or(holder.comm.as_str(), file_name);
    if behalf.role != Role::ServiceManager || !exe.starts_with("systemd") {
        return None;
    }
    Some(format!(
        "have {} start this program, and take the socket that it passes (LISTEN_FDS, sd_listen_fds(3)) instead of \
         a bind() of its own",
        name::process(holder)
    ))
}
