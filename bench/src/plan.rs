//! Which work is measured with which tracer, and what it is allowed to cost.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};
use serde::Serialize;

use super::{
    arena::{OTHER, SERVED, Work},
    report::Row,
    tracer::Tracer,
};

/// What is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Aim {
    /// Traced by untraced time, at most.
    Ratio(f64),
    /// Microseconds more than untraced, at most.
    AddedUs(f64),
}

/// A tracer, and the work that it is measured with.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The tracer.
    pub(super) tracer: Tracer,
    cases: Vec<(Work, Option<Aim>)>,
}

impl Plan {
    /// Its work, in order.
    pub(super) fn works(&self) -> impl Iterator<Item = Work> {
        self.cases.iter().map(|(work, _)| *work)
    }

    /// A row for each work.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row> {
        let row = |(work, aim): &(Work, Option<Aim>)| Row::new(*work, self.tracer.name(), *aim);
        self.cases.iter().map(row)
    }
}

/// A script of bpftrace that is measured beside portwatch.
struct Peer {
    what: &'static str,
    script: &'static str,
    /// How many BPF programs it is.
    programs: usize,
    works: &'static [Work],
}

const BINDS: &[Work] = &[
    Work::Bind,
    Work::BindAlone,
    Work::Refusal,
    Work::RefusalAlone,
];

const PEERS: &[Peer] = &[
    // Says what failed, and nothing of why.
    Peer {
        what: "pid, comm, errno",
        script: "tracepoint:syscalls:sys_enter_bind {} tracepoint:syscalls:sys_exit_bind \
                 { printf(\"%d %s %d\\n\", pid, comm, args->ret); }",
        programs: 2,
        works: BINDS,
    },
    // The least that any programs on these tracepoints cost.
    Peer {
        what: "empty programs",
        script: "tracepoint:syscalls:sys_enter_bind {} tracepoint:syscalls:sys_exit_bind {}",
        programs: 2,
        works: BINDS,
    },
    // The least that they cost every other system call: the kernel leaves its fast path for all of them.
    Peer {
        what: "empty programs on listen",
        script: "tracepoint:syscalls:sys_enter_listen {} tracepoint:syscalls:sys_exit_listen {}",
        programs: 2,
        works: BINDS,
    },
    Peer {
        what: "empty program on inet_sock_set_state",
        script: "tracepoint:sock:inet_sock_set_state {}",
        programs: 1,
        works: &[Work::Connection],
    },
];

/// Everything that can be measured here.
pub(super) fn plans(portwatch: &Path) -> Result<Vec<Plan>> {
    let mut plans = Vec::new();
    for tier in tiers(portwatch)? {
        plans.extend(of_portwatch(tier));
    }
    if let Some(bpftrace) = bpftrace() {
        plans.extend(PEERS.iter().map(|peer| Plan {
            tracer: Tracer::Bpftrace {
                bpftrace: bpftrace.clone(),
                what: peer.what,
                script: peer.script,
                programs: peer.programs,
            },
            cases: peer.works.iter().map(|work| (*work, None)).collect(),
        }));
    }
    Ok(plans)
}

fn bpftrace() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let mut files = env::split_paths(&path).map(|directory| directory.join("bpftrace"));
    files.find(|file| file.is_file())
}

fn of_portwatch(tier: Option<&'static str>) -> [Plan; 4] {
    let plan = |arguments: &[&str], what, cases: &[(Work, Option<Aim>)]| {
        let tier = tier.iter().flat_map(|tier| ["--tier", tier]);
        let arguments = tier.chain(arguments.iter().copied());
        Plan {
            tracer: Tracer::Portwatch {
                arguments: arguments.map(str::to_owned).collect(),
                what,
            },
            cases: cases.to_vec(),
        }
    };
    [
        plan(
            &[],
            "",
            &[
                (Work::Bind, Some(Aim::Ratio(1.20))),
                (Work::BindAlone, None),
                (Work::Refusal, Some(Aim::Ratio(1.60))),
                (Work::RefusalAlone, None),
                (Work::RefusalAmongTimeWaits, Some(Aim::AddedUs(50.0))),
            ],
        ),
        plan(
            &["--failures"],
            "",
            &[
                (Work::Bind, Some(Aim::Ratio(1.08))),
                (Work::BindAlone, None),
            ],
        ),
        plan(
            &["-p", &SERVED.to_string()],
            " (the port)",
            &[(Work::Connection, None)],
        ),
        plan(
            &["-p", &OTHER.to_string()],
            " (another port)",
            &[(Work::Connection, Some(Aim::Ratio(1.03)))],
        ),
    ]
}

/// The tiers that can be forced here; one that cannot be named if portwatch has no such option.
fn tiers(portwatch: &Path) -> Result<Vec<Option<&'static str>>> {
    let help = Command::new(portwatch).args(["trace", "--help"]).output()?;
    if !String::from_utf8_lossy(&help.stdout).contains("--tier") {
        return Ok(vec![None]);
    }
    let mut tiers = Vec::new();
    for tier in ["fexit", "tracepoint"] {
        let tracer = Tracer::Portwatch {
            arguments: vec!["--tier".into(), tier.into()],
            what: "",
        };
        match tracer.start(portwatch) {
            Ok(tracing) => {
                tracing.finish()?;
                tiers.push(Some(tier));
            }
            Err(error) => super::say(format!("not measured: tier {tier}: {error:#}"))?,
        }
    }
    ensure!(!tiers.is_empty(), "portwatch traces in no tier");
    Ok(tiers)
}
