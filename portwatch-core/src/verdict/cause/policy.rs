//! Verdicts on refusals by policy: a seccomp filter, a security module, a BPF program of the control group.
//!
//! They may answer with any errno, `EADDRINUSE` included.

use crate::model::{
    attempt::{Attempt, Op, Stage},
    socket::Proto,
    verdict::{Cause, Certainty, Verdict},
};
use crate::prelude::*;
use crate::words::errno;

use crate::verdict::{who::same_service, words::name};

/// The verdict on a call that this stage refused; `None` if it is none of policy's.
pub(in crate::verdict) fn verdict(attempt: &Attempt, stage: Stage) -> Option<Verdict> {
    let refused = format!("refused {} {}", who(attempt), call(attempt));
    let result = &attempt.result;
    let (confidence, summary, because, remedy) = match stage {
        Stage::Seccomp => (
            // By exclusion: the call returned, and did not begin.
            Certainty::Inferred,
            format!("a seccomp filter {refused} before the call began"),
            format!(
                "the call returned {result} without having begun: a seccomp filter answered in the \
                 kernel's place"
            ),
            allow_in_filter(attempt),
        ),
        Stage::Lsm => (
            Certainty::Exact,
            format!("a security module (LSM) {refused}"),
            format!(
                "the security modules are asked before the address is looked at, and one of them answered \
                 {result}"
            ),
            allow_in_module(attempt),
        ),
        Stage::Cgroup => (
            Certainty::Exact,
            format!("a BPF program of its control group {refused}"),
            format!(
                "programs of the control group are asked before the address is looked at, and the answer \
                 was {result} (systemd's SocketBindAllow= and SocketBindDeny= work this way)"
            ),
            allow_in_group(attempt),
        ),
        Stage::CgroupPost => (
            Certainty::Exact,
            format!("a BPF program of its control group {refused}"),
            format!(
                "the port was free: programs of the control group are asked again after the bind \
                 (post_bind), and the answer was {result}"
            ),
            allow_in_group(attempt),
        ),
        Stage::Syscall | Stage::Address | Stage::Port | Stage::Protocol => return None,
    };
    Some(verdict_of(confidence, summary, because, vec![remedy]))
}

/// The verdict on a refusal that can only be policy's, where it was not seen which stage it was; `None` where something
/// else may have refused.
pub(in crate::verdict) fn unseen_stage(attempt: &Attempt) -> Option<Verdict> {
    let facts = &attempt.facts;
    // Neither the binds of these protocols nor the system call ever return it.
    let never_theirs = attempt.errno.cast_signed() == errno::EPERM
        && matches!(attempt.proto, Proto::Tcp | Proto::Udp | Proto::Udplite)
        && attempt.op == Op::Bind;
    // A call whose entry was seen has passed seccomp.
    let seen = !facts.entry_unseen && !facts.io_uring && !facts.kernel && facts.stages.is_none();
    (never_theirs && seen).then(|| {
        verdict_of(
            Certainty::Inferred,
            format!(
                "a security module (LSM) or a BPF program of its control group refused {} {}; which of \
                 the two was not seen",
                who(attempt),
                call(attempt)
            ),
            "the checks of the address and of the port never answer EPERM".to_owned(),
            vec![allow_in_group(attempt), allow_in_module(attempt)],
        )
    })
}

fn verdict_of(
    confidence: Certainty,
    summary: String,
    because: String,
    remedies: Vec<String>,
) -> Verdict {
    Verdict {
        cause: Cause::Policy,
        also: Vec::new(),
        confidence,
        summary,
        because,
        remedies,
        would_succeed_if: Vec::new(),
    }
}

/// Who called, with the service that policies are set for.
fn who(attempt: &Attempt) -> String {
    if attempt.facts.kernel {
        name::caller(attempt)
    } else {
        name::process_and_service(&attempt.process)
    }
}

/// `bind() to 0.0.0.0:80`, or the name of the call alone.
fn call(attempt: &Attempt) -> String {
    let call = match attempt.op {
        Op::Bind => "bind()",
        Op::Listen | Op::Autobind => "listen()",
    };
    match name::requested(attempt) {
        Some(place) => format!("{call} to {place}"),
        None => call.to_owned(),
    }
}

fn allow_in_filter(attempt: &Attempt) -> String {
    let process = &attempt.process;
    let call = match attempt.op {
        Op::Bind => "bind",
        Op::Listen | Op::Autobind => "listen",
    };
    let place = match (&process.container, same_service::unit(process)) {
        (Some(container), _) => format!(
            " (for {}, its runtime sets a seccomp profile)",
            name::container(container)
        ),
        (None, Some(unit)) => format!(
            " (for {}, look for SystemCallFilter= in its unit file)",
            name::text(unit)
        ),
        (None, None) => String::new(),
    };
    format!(
        "allow the system call {call} in the filter that the program, or whatever started it, has set{place}"
    )
}

fn allow_in_module(attempt: &Attempt) -> String {
    format!(
        "allow it in the policy of the security module for {}: its audit log says what was refused \
         (ausearch -m AVC, or journalctl -k)",
        who(attempt)
    )
}

fn allow_in_group(attempt: &Attempt) -> String {
    let process = &attempt.process;
    let unit = same_service::unit(process).filter(|_| process.container.is_none());
    let group = process.cgroup.as_deref().map_or_else(
        || "its control group".to_owned(),
        |cgroup| format!("the control group {}", name::text(cgroup)),
    );
    match unit {
        Some(unit) => format!(
            "allow it in {}: look for SocketBindAllow= and SocketBindDeny= in its unit file, or for another \
             program on {group} or above it (bpftool cgroup tree)",
            name::text(unit)
        ),
        None => format!(
            "allow it in the BPF program on {group} or above it (bpftool cgroup tree names the programs)"
        ),
    }
}

#[cfg(test)]
mod tests;
