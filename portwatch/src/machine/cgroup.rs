//! What the path of a control group says: the systemd unit and the container.
//!
//! The paths are conventions of the programs that make the groups; the patterns below are theirs. Whoever may make
//! control groups can imitate them, so they name, and prove nothing.

use portwatch_core::model::process::Container;

/// Where a process's path comes from: the unified (v2) hierarchy, unless that is the root; else the first of these v1
/// controllers whose path is not the root; else the root.
///
/// On a hybrid host the unified path is often the root while containers have their groups in the v1 hierarchies. The
/// kernel side looks in the same order.
pub const V1_CONTROLLERS: [&str; 4] = ["pids", "memory", "devices", "cpu"];

/// Chooses the path out of the text of `/proc/PID/cgroup`, by the rule of [`V1_CONTROLLERS`]. `None` when there is no
/// line of any of these hierarchies.
#[must_use]
pub fn choose(text: &str) -> Option<&str> {
    let mut unified = None;
    let mut v1 = [None; V1_CONTROLLERS.len()];
    for line in text.lines() {
        // `ID:CONTROLLERS:PATH`; the path may hold colons.
        let mut parts = line.splitn(3, ':');
        let (Some(id), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        if id == "0" && controllers.is_empty() {
            // cgroup_path_ns() of a group that has been removed (proc_cgroup_show).
            unified = Some(path.strip_suffix(" (deleted)").unwrap_or(path));
        }
        for (slot, wanted) in v1.iter_mut().zip(V1_CONTROLLERS) {
            if controllers
                .split(',')
                .any(|controller| controller == wanted)
            {
                *slot = Some(path);
            }
        }
    }
    let mut found = std::iter::once(unified).chain(v1).flatten();
    let first = found.next()?;
    Some(
        std::iter::once(first)
            .chain(found)
            .find(|path| *path != "/")
            .unwrap_or("/"),
    )
}

/// The systemd unit: the innermost component that is a unit with processes of its own (slices have none).
///
/// `/user.slice/user-1000.slice/user@1000.service/app.slice/editor.scope` is `editor.scope`.
#[must_use]
pub fn unit(path: &str) -> Option<String> {
    const SUFFIXES: [&str; 5] = [".service", ".scope", ".socket", ".mount", ".swap"];
    path.rsplit('/')
        // systemd puts `_` before names that would clash with files of the cgroup file system (cg_escape).
        .map(|component| component.strip_prefix('_').unwrap_or(component))
        .find(|component| {
            is_unit_name(component) && SUFFIXES.iter().any(|suffix| component.ends_with(suffix))
        })
        .map(str::to_owned)
}

/// `unit_name_is_valid` of systemd, as far as it concerns names that are in use.
pub(super) fn is_unit_name(name: &str) -> bool {
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    name.len() < 256 && !name.starts_with(['.', '@']) && name.bytes().all(valid)
}

/// What runs a container of [`nspawn`].
const NSPAWN: &str = "systemd-nspawn";

/// The innermost container that the path names.
#[must_use]
pub fn container(path: &str) -> Option<Container> {
    let mut pod = None;
    let mut found = None;
    let mut outer: Option<&str> = None;
    let mut kubernetes = false;
    for component in path.split('/').filter(|component| !component.is_empty()) {
        kubernetes |= component.contains("kubepods");
        if let Some(uid) = pod_uid(component, kubernetes) {
            pod = Some(uid);
        }
        if let Some((id, runtime)) = container_id(component, outer) {
            // A bare id below a pod: Kubernetes does not say which runtime it has.
            let runtime = runtime.or((pod.is_some() && kubernetes).then_some("kubernetes"));
            let id = if runtime == Some(NSPAWN) {
                unescaped(id)
            } else {
                id.to_owned()
            };
            let runtime = runtime.map(str::to_owned);
            found = Some(Container {
                id,
                runtime,
                pod: pod.take(),
            });
        }
        outer = Some(component);
    }
    found
}

/// The id and the runtime, where this component is a container's. `outer` is the component before it.
fn container_id<'a>(
    component: &'a str,
    outer: Option<&'a str>,
) -> Option<(&'a str, Option<&'static str>)> {
    /// Of the systemd drivers (`docker-ID.scope`), and of some cgroupfs drivers (`crio-ID`).
    const PREFIXES: [(&str, &str); 6] = [
        ("docker-", "docker"),
        ("cri-containerd-", "containerd"),
        ("nerdctl-", "containerd"),
        ("crio-", "crio"),
        ("libpod-payload-", "podman"),
        ("libpod-", "podman"),
    ];

    // LXC 4 and later, LXD and Incus; its monitor, `lxc.monitor.NAME`, is outside the container.
    if let Some(name) = component.strip_prefix("lxc.payload.") {
        return (!name.is_empty()).then_some((name, Some("lxc")));
    }
    // LXC up to 3, and Proxmox.
    if matches!(outer, Some("lxc" | "lxc.payload")) {
        return Some((component, Some("lxc")));
    }
    // systemd-nspawn has its own processes beside, in `supervisor`. A virtual machine has no payload.
    if let ("payload", Some(outer)) = (component, outer) {
        return nspawn(outer).map(|name| (name, Some(NSPAWN)));
    }
    // Amazon ECS, where the container is of a task of the same id: `ecs/TASK/TASK-NUMBER`.
    if let Some((task, number)) = component.split_once('-')
        && outer == Some(task)
        && task.len() == 32
        && task.bytes().all(|byte| byte.is_ascii_hexdigit())
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Some((component, None));
    }
    // containerd's cgroupfs driver with a path that was meant for systemd: `SLICE:cri-containerd:ID`.
    if let Some((_, rest)) = component.split_once(".slice:") {
        let (runtime, id) = rest.split_once(':')?;
        let runtime = PREFIXES
            .iter()
            .find(|(prefix, _)| prefix.strip_suffix('-') == Some(runtime));
        return is_id(id).then_some((id, runtime.map(|(_, name)| *name)));
    }
    let name = component.strip_suffix(".scope").unwrap_or(component);
    for (prefix, runtime) in PREFIXES {
        if let Some(id) = name.strip_prefix(prefix).filter(|id| is_id(id)) {
            return Some((id, Some(runtime)));
        }
    }
    // The cgroupfs drivers: the bare id.
    is_id(component).then_some((
        component,
        match outer {
            Some("docker") => Some("docker"),
            Some("k8s.io") => Some("containerd"),
            _ => None,
        },
    ))
}

/// The name of the machine, out of the unit that it runs in.
fn nspawn(unit: &str) -> Option<&str> {
    let of_a_service = unit
        .strip_prefix("systemd-nspawn@")
        .and_then(|name| name.strip_suffix(".service"));
    let of_a_terminal = unit
        .strip_prefix("machine-")
        .and_then(|name| name.strip_suffix(".scope"));
    of_a_service
        .or(of_a_terminal)
        .filter(|name| !name.is_empty())
}

/// What `unit_name_escape` of systemd has made of `-`, as it was.
fn unescaped(name: &str) -> String {
    name.replace("\\x2d", "-")
}

fn is_id(id: &str) -> bool {
    id.len() == 64
        && id
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The pod's uid out of `pod<uid>` (cgroupfs), `kubepods-burstable-pod<uid_with_underscores>.slice` (systemd), or the
/// latter with more behind it (see [`container_id`]).
fn pod_uid(component: &str, kubernetes: bool) -> Option<String> {
    let name = component
        .split_once(".slice")
        .map_or(component, |(name, _)| name);
    let uid = match name.rsplit_once("-pod") {
        Some((slice, uid)) if slice.contains("kubepods") => uid,
        _ if kubernetes => name.strip_prefix("pod")?,
        _ => return None,
    };
    // A uuid; of a static pod, a hash of its manifest.
    let valid = (32..=36).contains(&uid.len())
        && uid
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-' || byte == b'_');
    valid.then(|| uid.replace('_', "-"))
}

#[cfg(test)]
mod tests;
