//! What a log can tell at all: its beginning says so, and the kernel.

use std::{fs, sync::OnceLock};

use portwatch::btf::Btf;
use serde_json::Value;

use super::truth::Expected;

/// Whether the ports that the record `start` says are wanted leave an attempt in.
pub(super) fn passes_filter(entry: &Expected, log: &[Value]) -> bool {
    let ranges = log
        .first()
        .and_then(|start| start["filters"]["ports"].as_array());
    let ranges = ranges.map_or(&[][..], Vec::as_slice);
    let has = |port: u16| {
        let port = u64::from(port);
        let holds = |range: &Value| {
            let ends = (range[0].as_u64(), range[1].as_u64());
            matches!(ends, (Some(first), Some(last)) if (first..=last).contains(&port))
        };
        ranges.iter().any(holds)
    };
    ranges.is_empty() || entry.port.is_some_and(has) || entry.bound_port.is_some_and(has)
}

/// What programs of this kernel may do.
#[derive(Clone, Copy, Default)]
pub(super) struct Abilities {
    /// Read the arguments of a call whose entry they did not see (5.15).
    pub(super) reads_arguments: bool,
    /// Give a socket a cookie wherever they meet it (5.12).
    pub(super) gives_cookies: bool,
    /// Be preempted, and are skipped meanwhile for everybody else on that processor (7.2).
    pub(super) hide_calls: bool,
}

pub(super) fn abilities() -> Abilities {
    static OURS: OnceLock<Abilities> = OnceLock::new();
    *OURS.get_or_init(|| {
        let bytes = fs::read("/sys/kernel/btf/vmlinux").unwrap_or_default();
        let Ok(btf) = Btf::parse(&bytes) else {
            return Abilities::default();
        };
        let arguments = btf.enumerator("bpf_func_id", "BPF_FUNC_task_pt_regs");
        let cookies = btf.func_arity("bpf_get_socket_ptr_cookie");
        let preempted = btf.func_arity("trace_call_bpf_faultable");
        Abilities {
            hide_calls: preempted.is_some(),
            reads_arguments: arguments.is_some(),
            gives_cookies: cookies.is_some(),
        }
    })
}

/// Whether this kernel hides calls from programs while several processes compete for a processor.
#[must_use]
pub fn hides_calls() -> bool {
    abilities().hide_calls
}

/// Whether the record `start` says that portwatch does without this capability.
pub(super) fn is_missing(log: &[Value], capability: &str) -> bool {
    let degraded = log.first().and_then(|start| start["degraded"].as_array());
    let mut degraded = degraded.into_iter().flatten();
    degraded.any(|degradation| degradation["what"] == capability)
}

/// Whether the record `start` says that portwatch has this capability from the kernel's own functions.
#[must_use]
pub fn is_traced(log: &[Value], capability: &str) -> bool {
    log.first()
        .is_some_and(|start| start["hooks"][capability]["tier"] == "fexit")
}
