//! Which capability comes from which hooks.
//!
//! A capability is available in one or more ways, the best first. Each is tried by attaching, never by version number; what
//! is not available is reported and not guessed.

use portwatch_common::{
    maps::switch,
    offsets::{ABSENT, Offsets},
};

/// Where a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// A tracepoint of tracefs: category and name.
    Tracepoint(&'static str, &'static str),
    /// A tracepoint's BTF form: typed arguments instead of a record.
    BtfTracepoint(&'static str),
    /// A kernel function, when it is called.
    Entry(Function),
    /// A kernel function, when it returns.
    Exit(Function),
    /// An iterator, which runs when it is read.
    Iterator(&'static str),
}

/// A kernel function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// How many parameters the program expects: its result comes behind them. `None` if the program looks by itself.
    pub arity: Option<usize>,
}

impl Point {
    /// As `start` records and `doctor` show it.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Tracepoint(category, name) => format!("tracepoint:{category}:{name}"),
            Self::BtfTracepoint(name) => format!("tp_btf:{name}"),
            Self::Entry(function) => format!("fentry:{}", function.name),
            Self::Exit(function) => format!("fexit:{}", function.name),
            Self::Iterator(name) => format!("iter:{name}"),
        }
    }

    /// The function that it is about.
    #[must_use]
    pub const fn function(self) -> Option<Function> {
        match self {
            Self::Entry(function) | Self::Exit(function) => Some(function),
            _ => None,
        }
    }
}

/// On which kernels a hook is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// On all; without it the way is closed.
    Always,
    /// On those that have the function.
    Exists,
    /// On those where programs cannot give a socket a cookie (before 5.12).
    NoCookies,
    /// On those that skip a program on a CPU where it has been preempted (since 7.2).
    Preemptible,
    /// On all whose types describe sockets of the unix family; without them the way is closed.
    UnixTypes,
}

/// A program of the object and where it goes.
#[derive(Clone, Copy, Debug)]
pub struct Hook {
    /// The program's name in the object.
    pub program: &'static str,
    /// Where it is attached.
    pub point: Point,
    /// Where it is needed.
    pub when: When,
}

/// A kind of hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Programs on kernel functions. What is at the same place in both tiers may be among them.
    Fexit,
    /// Tracepoints.
    Tracepoint,
    /// Iterators.
    Iterator,
}

impl Tier {
    /// As `start` records and the command line spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fexit => "fexit",
            Self::Tracepoint => "tracepoint",
            Self::Iterator => "iterator",
        }
    }
}

/// How sure what it tells is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The kernel's own word, at the instant.
    Exact,
    /// Looked up in the kernel's tables shortly after.
    Walked,
    /// Told from other events.
    Inferred,
}

impl Level {
    /// As `start` records spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Walked => "walked",
            Self::Inferred => "inferred",
        }
    }
}

/// A way to have a capability.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// What it takes.
    pub tier: Tier,
    /// What it is worth.
    pub level: Level,
    /// In the order in which they are attached.
    pub hooks: &'static [Hook],
    /// Set in the `SWITCHES` map for it: [`switch`].
    pub switches: u32,
    /// What it cannot know on any kernel: what, and why.
    pub limits: &'static [(&'static str, &'static str)],
}

impl Way {
    const fn new(tier: Tier, level: Level, hooks: &'static [Hook]) -> Self {
        Self {
            tier,
            level,
            hooks,
            switches: 0,
            limits: &[],
        }
    }
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
    /// What it is about exists on this kernel.
    pub applies: fn(&Offsets) -> bool,
    /// The best first.
    pub ways: &'static [Way],
    /// What is lost without it.
    pub lost: &'static str,
}

const fn hook(program: &'static str, point: Point) -> Hook {
    Hook {
        program,
        point,
        when: When::Always,
    }
}

const fn tracepoint(program: &'static str, category: &'static str, name: &'static str) -> Hook {
    hook(program, Point::Tracepoint(category, name))
}

const fn btf_tracepoint(program: &'static str, name: &'static str) -> Hook {
    hook(program, Point::BtfTracepoint(name))
}

const fn entry(program: &'static str, name: &'static str, arity: usize) -> Hook {
    let arity = Some(arity);
    hook(program, Point::Entry(Function { name, arity }))
}

const fn exit(program: &'static str, name: &'static str, arity: usize) -> Hook {
    let arity = Some(arity);
    hook(program, Point::Exit(Function { name, arity }))
}

impl Hook {
    const fn when(mut self, when: When) -> Self {
        self.when = when;
        self
    }
}

const fn always(_: &Offsets) -> bool {
    true
}

/// A copy of a program, for what that is skipped for.
const fn copy(program: &'static str, name: &'static str) -> Hook {
    tracepoint(program, "syscalls", name).when(When::Preemptible)
}

const SET_STATE: Hook = btf_tracepoint("set_state", "inet_sock_set_state");

/// Everything, in the order in which it is attached: who first, so that no attempt is seen without its process; and what
/// adds to an attempt before what begins one.
pub const CAPABILITIES: &[Capability] = &[
    Capability {
        name: "holders",
        what: "who has a socket open, in every namespace",
        required: false,
        applies: always,
        ways: &[Way::new(
            Tier::Iterator,
            Level::Walked,
            &[hook("holders", Point::Iterator("task_file"))],
        )],
        lost: "holders are found through /proc: slower, and only in portwatch's own pid namespace",
    },
    Capability {
        name: "unix_names",
        what: "who has a name of the unix family, in every namespace",
        required: false,
        applies: always,
        ways: &[Way::new(
            Tier::Iterator,
            Level::Walked,
            &[hook("unix_sockets", Point::Iterator("task_file")).when(When::UnixTypes)],
        )],
        lost: "whether somebody serves a socket file is not known, and an abstract name is looked up in /proc",
    },
    Capability {
        name: "keepers",
        what: "what keeps a socket open without a descriptor: a message, a call under way, io_uring",
        required: false,
        applies: always,
        ways: &[Way::new(
            Tier::Iterator,
            Level::Walked,
            &[
                hook("messages", Point::Iterator("task_file")).when(When::UnixTypes),
                hook("waiters", Point::Iterator("task")).when(When::UnixTypes),
            ],
        )],
        lost: "what keeps a socket open without a descriptor is not known",
    },
    Capability {
        name: "processes",
        what: "name, arguments and end of processes that are gone a moment later",
        required: false,
        applies: always,
        ways: &[Way::new(
            Tier::Tracepoint,
            Level::Exact,
            &[
                tracepoint("exec", "sched", "sched_process_exec"),
                tracepoint("exit", "sched", "sched_process_exit"),
            ],
        )],
        lost: "a process that executes or ends while tracing is known by what /proc still shows",
    },
    Capability {
        name: "lineage",
        what: "which process made which, and so who inherited a socket",
        required: false,
        applies: always,
        ways: &[Way::new(
            Tier::Tracepoint,
            Level::Exact,
            &[btf_tracepoint("fork", "sched_process_fork")],
        )],
        lost: "how a socket came to a process that did not bind it is not told",
    },
    Capability {
        name: "signals",
        what: "who asked the owner of a socket to end, and when",
        required: false,
        applies: always,
        ways: &[Way::new(
            Tier::Tracepoint,
            Level::Exact,
            &[btf_tracepoint("signal", "signal_generate")],
        )],
        lost: "whether the owner of a socket was asked to end is not told",
    },
    Capability {
        name: "connections",
        what: "who made, accepted or closed a connection whose port conflicts",
        required: false,
        applies: always,
        ways: &[
            Way::new(
                Tier::Fexit,
                Level::Exact,
                &[SET_STATE, entry("sock_graft", "security_sock_graft", 2)],
            ),
            Way::new(Tier::Tracepoint, Level::Exact, &[SET_STATE]),
        ],
        lost: "who left a TIME_WAIT behind, or made an outgoing connection, is not known",
    },
    Capability {
        name: "ports",
        what: "when a watched port is taken and released",
        required: false,
        applies: always,
        ways: &[
            Way::new(
                Tier::Fexit,
                Level::Exact,
                &[
                    exit("hash_connect", "inet_hash_connect", 2),
                    exit("hash_connect6", "inet6_hash_connect", 2).when(When::Exists),
                    exit("inherit_port", "__inet_inherit_port", 2),
                    entry("put_port", "inet_put_port", 1),
                    entry("udp_unhash", "udp_lib_unhash", 1),
                ],
            ),
            Way {
                switches: switch::PORTS_FROM_STATES,
                limits: &[(
                    "UDP release",
                    "no tracepoint sees a UDP socket give its port back",
                )],
                ..Way::new(
                    Tier::Tracepoint,
                    Level::Inferred,
                    &[btf_tracepoint("destroy_sock", "tcp_destroy_sock")],
                )
            },
        ],
        lost: "only attempts show who takes a port and who releases it",
    },
    Capability {
        name: "time_waits",
        what: "when a TIME_WAIT of a watched port begins, is re-armed and ends, and why",
        required: false,
        applies: always,
        ways: &[
            Way::new(
                Tier::Fexit,
                Level::Exact,
                &[
                    exit("twsk_alloc", "inet_twsk_alloc", 3).when(When::NoCookies),
                    exit("twsk_schedule", "__inet_twsk_schedule", 3),
                    exit("twsk_hashdance", "inet_twsk_hashdance_schedule", 4).when(When::Exists),
                    exit("twsk_unique", "tcp_twsk_unique", 3),
                    hook("timewait_segment", TIMEWAIT_SEGMENT),
                    hook("timewait_answer", TIMEWAIT_ANSWER),
                    entry("twsk_kill", "inet_twsk_kill", 1),
                ],
            ),
            Way {
                switches: switch::TIME_WAITS_FROM_STATES,
                limits: &[(
                    "the end of a TIME_WAIT",
                    "no tracepoint sees it: the table is looked at again when its time is over",
                )],
                ..Way::new(
                    Tier::Tracepoint,
                    Level::Inferred,
                    &[hook("recheck", Point::Iterator("bpf_map"))],
                )
            },
        ],
        lost: "a TIME_WAIT is seen only when it conflicts",
    },
    Capability {
        name: "conflicts",
        what: "the socket that a port was refused for",
        required: false,
        applies: always,
        ways: &[
            Way::new(
                Tier::Fexit,
                Level::Exact,
                &[
                    exit("saddr_equal", "inet_rcv_saddr_equal", 3),
                    exit("bind_conflict", "inet_bind_conflict", 6).when(When::Exists),
                    exit("got_port", "inet_csk_get_port", 2),
                    exit("udp_got_port", "udp_lib_get_port", 3),
                    entry("get_port", "inet_csk_get_port", 2),
                    entry("udp_get_port", "udp_lib_get_port", 3),
                ],
            ),
            Way {
                limits: &[(
                    "the instant of refusal",
                    "the bind table is walked just after the refusal, not under the kernel's lock: certainty is \"walked\"",
                )],
                ..Way::new(Tier::Tracepoint, Level::Walked, &[])
            },
        ],
        lost: "",
    },
    Capability {
        name: "stages",
        what: "which stage refused a bind; binds of the kernel itself and of 32-bit programs",
        required: false,
        applies: always,
        ways: &[Way {
            limits: &[(
                "32-bit listens",
                "the kernel's system call tracepoints leave out 32-bit compat calls on x86_64",
            )],
            ..Way::new(
                Tier::Fexit,
                Level::Exact,
                &[
                    exit("security", "security_socket_bind", 3).when(When::Exists),
                    exit("family", "inet_bind", 3),
                    exit("family6", "inet6_bind", 3).when(When::Exists),
                    exit("family_sk", "inet_bind_sk", 3).when(When::Exists),
                    exit("family6_sk", "inet6_bind_sk", 3).when(When::Exists),
                    exit("address", "__inet_bind", 4),
                    exit("address6", "__inet6_bind", 4).when(When::Exists),
                ],
            )
        }],
        lost: "the refusing kernel stage is reported only when errno proves it; binds of the kernel itself and of 32-bit programs are not seen",
    },
    Capability {
        name: "io_uring",
        what: "bind and listen through io_uring (Linux 6.11 and later)",
        required: false,
        applies: |offsets| offsets.op_bind != ABSENT,
        ways: &[
            Way::new(
                Tier::Fexit,
                Level::Exact,
                &[
                    exit("exit_bind_socket", "__sys_bind_socket", 3),
                    entry("enter_bind_socket", "__sys_bind_socket", 3),
                    exit("exit_listen_socket", "__sys_listen_socket", 2),
                    entry("enter_listen_socket", "__sys_listen_socket", 2),
                ],
            ),
            Way::new(
                Tier::Tracepoint,
                Level::Exact,
                &[
                    btf_tracepoint("uring_submit", "io_uring_submit_req"),
                    btf_tracepoint("uring_complete", "io_uring_complete"),
                ],
            ),
        ],
        lost: "binds through io_uring are not seen",
    },
    Capability {
        name: "attempts",
        what: "bind and listen calls, their result, and the sockets on the port when they fail",
        required: true,
        applies: always,
        ways: &[Way::new(
            Tier::Tracepoint,
            Level::Exact,
            &[
                tracepoint("enter_bind", "syscalls", "sys_enter_bind"),
                copy("enter_bind_2", "sys_enter_bind"),
                copy("enter_bind_3", "sys_enter_bind"),
                copy("enter_bind_4", "sys_enter_bind"),
                tracepoint("exit_bind", "syscalls", "sys_exit_bind"),
                copy("exit_bind_2", "sys_exit_bind"),
                copy("exit_bind_3", "sys_exit_bind"),
                copy("exit_bind_4", "sys_exit_bind"),
                tracepoint("enter_listen", "syscalls", "sys_enter_listen"),
                copy("enter_listen_2", "sys_enter_listen"),
                copy("enter_listen_3", "sys_enter_listen"),
                copy("enter_listen_4", "sys_enter_listen"),
                tracepoint("exit_listen", "syscalls", "sys_exit_listen"),
                copy("exit_listen_2", "sys_exit_listen"),
                copy("exit_listen_3", "sys_exit_listen"),
                copy("exit_listen_4", "sys_exit_listen"),
            ],
        )],
        lost: "nothing can be traced",
    },
];

const TIMEWAIT: Function = Function {
    name: "tcp_timewait_state_process",
    arity: None,
};
const TIMEWAIT_SEGMENT: Point = Point::Entry(TIMEWAIT);
const TIMEWAIT_ANSWER: Point = Point::Exit(TIMEWAIT);

#[cfg(test)]
mod tests;
