//! Which capability comes from which hooks.
//!
//! A capability is tried by attaching, never by version number; what cannot be had is reported and not guessed.

/// Where a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// A tracepoint of tracefs: category and name.
    Tracepoint(&'static str, &'static str),
    /// A tracepoint's BTF form: typed arguments instead of a record.
    BtfTracepoint(&'static str),
    /// An iterator, which runs when it is read.
    Iterator(&'static str),
}

impl Point {
    /// As `start` records and `doctor` show it.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Tracepoint(category, name) => format!("tracepoint:{category}:{name}"),
            Self::BtfTracepoint(name) => format!("tp_btf:{name}"),
            Self::Iterator(name) => format!("iter:{name}"),
        }
    }
}

/// A program of the object and where it goes.
#[derive(Clone, Copy, Debug)]
pub struct Hook {
    /// The program's name in the object.
    pub program: &'static str,
    /// Where it is attached.
    pub point: Point,
}

/// Something that portwatch can tell, and what it takes.
#[derive(Clone, Copy, Debug)]
pub struct Capability {
    /// As `start` records and `doctor` name it.
    pub name: &'static str,
    /// What it is, in a few words.
    pub what: &'static str,
    /// Without it there is nothing to trace.
    pub required: bool,
    /// In the order in which they are attached.
    pub hooks: &'static [Hook],
    /// What is lost without it.
    pub lost: &'static str,
}

const fn tracepoint(program: &'static str, category: &'static str, name: &'static str) -> Hook {
    Hook {
        program,
        point: Point::Tracepoint(category, name),
    }
}

const fn btf_tracepoint(program: &'static str, name: &'static str) -> Hook {
    Hook {
        program,
        point: Point::BtfTracepoint(name),
    }
}

/// Everything, in the order in which it is attached: who first, so that no attempt is seen without its process.
pub const CAPABILITIES: &[Capability] = &[
    Capability {
        name: "holders",
        what: "who has a socket open, in every namespace",
        required: false,
        hooks: &[Hook {
            program: "holders",
            point: Point::Iterator("task_file"),
        }],
        lost: "holders are found through /proc: slower, and only in portwatch's own pid namespace",
    },
    Capability {
        name: "processes",
        what: "name, arguments and end of processes that are gone a moment later",
        required: false,
        hooks: &[
            tracepoint("exec", "sched", "sched_process_exec"),
            tracepoint("exit", "sched", "sched_process_exit"),
        ],
        lost: "a process that executes or ends while tracing is known by what /proc still shows",
    },
    Capability {
        name: "connections",
        what: "who made or closed a connection whose port is in the way",
        required: false,
        hooks: &[btf_tracepoint("set_state", "inet_sock_set_state")],
        lost: "who left a TIME_WAIT behind, or made an outgoing connection, is not known",
    },
    Capability {
        name: "io_uring",
        what: "bind and listen through io_uring (Linux 6.11 and later)",
        required: false,
        hooks: &[
            btf_tracepoint("uring_submit", "io_uring_submit_req"),
            btf_tracepoint("uring_complete", "io_uring_complete"),
        ],
        lost: "binds through io_uring are not seen",
    },
    Capability {
        name: "attempts",
        what: "bind and listen calls, their result, and the sockets on the port when they fail",
        required: true,
        hooks: &[
            tracepoint("enter_bind", "syscalls", "sys_enter_bind"),
            tracepoint("exit_bind", "syscalls", "sys_exit_bind"),
            tracepoint("enter_listen", "syscalls", "sys_enter_listen"),
            tracepoint("exit_listen", "syscalls", "sys_exit_listen"),
        ],
        lost: "nothing can be traced",
    },
];

/// What the tracepoint tier cannot know on any kernel: what, and why.
pub const TRACEPOINT_LIMITS: &[(&str, &str)] = &[
    (
        "32-bit binds",
        "the kernel's system call tracepoints leave out 32-bit compat calls on x86_64",
    ),
    (
        "binds inside the kernel",
        "no tracepoint sees them; such sockets are still named as blockers",
    ),
    (
        "UDP release",
        "no tracepoint sees a UDP socket give its port back",
    ),
    (
        "TIME_WAIT re-arm",
        "no tracepoint sees it: time left is a lower bound",
    ),
    (
        "the instant of refusal",
        "the bind table is walked just after the refusal, not under the kernel's lock: certainty is \"walked\"",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_attached_last_and_entries_before_returns() {
        let last = CAPABILITIES.last().unwrap();
        assert!(last.required);
        let names: Vec<_> = last.hooks.iter().map(|hook| hook.program).collect();
        assert_eq!(
            names,
            ["enter_bind", "exit_bind", "enter_listen", "exit_listen"]
        );
        assert_eq!(CAPABILITIES.iter().filter(|c| c.required).count(), 1);
    }
}
