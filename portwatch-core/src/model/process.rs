//! A process, as far as it is known.

use crate::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::number::Big;

/// A process. `pid` and `start_boot_ns` together name it for good: a pid alone is reused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Process {
    /// Process id, as the initial pid namespace numbers it.
    pub pid: u32,
    /// As its own pid namespace numbers it (in a container often 1), where that is another number.
    #[serde(default)]
    pub ns_pid: Option<u32>,
    /// The thread that acted; `None` where only the process is known.
    pub tid: Option<u32>,
    /// Parent's process id when this was recorded.
    pub ppid: Option<u32>,
    /// Name of the process (its leader thread). May hold any bytes that are not NUL, made valid UTF-8.
    pub comm: String,
    /// The executable's path.
    pub exe: Option<String>,
    /// Arguments.
    pub cmdline: Option<Vec<String>>,
    /// Real user id.
    pub uid: Option<u32>,
    /// Its name.
    pub user: Option<String>,
    /// Start: nanoseconds since boot, suspend included (`CLOCK_BOOTTIME`).
    pub start_boot_ns: Option<Big>,
    /// Path of its control group.
    pub cgroup: Option<String>,
    /// systemd unit, from the control group.
    pub unit: Option<String>,
    /// Container, from the control group.
    pub container: Option<Container>,
    /// Inode of its network namespace.
    pub netns: Option<u32>,
    /// Of who calls and who has a blocking socket: who made it, who made that one, and so on, as far as it was seen. At
    /// most [`Process::ANCESTORS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ancestors: Vec<Ancestor>,
}

/// A process that another one comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ancestor {
    /// Process id.
    pub pid: u32,
    /// Start: nanoseconds since boot.
    pub start_boot_ns: Big,
    /// Its name when it was made or first seen, or of what it executed last.
    pub comm: String,
}

/// What `/proc` tells starts to: a tick of `USER_HZ`, in ns.
pub const TICK_NS: u64 = 10_000_000;

impl Process {
    /// How many ancestors are kept.
    pub const ANCESTORS: usize = 4;

    /// True if both are the same process: same pid and, where both know it, the same start.
    ///
    /// Where one start is from `/proc/PID/stat`, which has ticks of `USER_HZ`, they are compared at 10 ms; those that the
    /// kernel told by the nanosecond.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.pid == other.pid
            && match (self.start_boot_ns, other.start_boot_ns) {
                (Some(a), Some(b)) => is_same_start(a.0, b.0),
                _ => true,
            }
    }
}

fn is_same_start(a: u64, b: u64) -> bool {
    let of_kernel = |start: u64| !start.is_multiple_of(TICK_NS);
    if of_kernel(a) && of_kernel(b) {
        a == b
    } else {
        a / TICK_NS == b / TICK_NS
    }
}

/// A container that a control group's path names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Container {
    /// Its id, as the path has it.
    pub id: String,
    /// What runs it, where the path says so: docker, containerd, crio, podman, lxc, kubernetes.
    pub runtime: Option<String>,
    /// Uid of its Kubernetes pod.
    pub pod: Option<String>,
}

/// How it is known who a blocking socket belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Its bind, connect or close was seen.
    Observed,
    /// It held the socket when tracing started.
    Snapshot,
    /// It holds the socket now: its descriptors were looked through.
    Iterator,
}

/// Who a blocking socket belongs to, alive or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Owner {
    /// The process.
    #[serde(flatten)]
    pub process: Process,
    /// Whether it lives; `None` when that is not known.
    pub alive: Option<bool>,
    /// How it is known.
    pub source: Source,
    /// It was asked to end.
    #[serde(default)]
    pub stopping: Option<Stopping>,
}

/// A signal that ends a process, unless that handles it in another way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stopping {
    /// Its name, as `SIGTERM`.
    pub signal: String,
    /// When it was sent: RFC 3339.
    pub time: String,
    /// How long that was before the attempt had ended.
    #[serde(default)]
    pub ago_ms: u64,
    /// Who sent it; `None` for the kernel itself, and for what a timer sent.
    pub by: Option<Box<Process>>,
}

/// A process that has a descriptor of the blocking socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Holder {
    /// The process.
    pub process: Process,
    /// Its descriptor.
    pub fd: u32,
}
