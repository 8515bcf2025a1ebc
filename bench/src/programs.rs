//! How often BPF programs run, and for how long: what the kernel counts of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::fd::OwnedFd,
};

use anyhow::{Context, Result};
use aya::{
    programs::loaded_programs,
    sys::{Stats, enable_stats},
};

/// Runs of a program.
#[derive(Clone, Debug)]
pub(super) struct Runs {
    /// The program's name.
    pub(super) name: String,
    /// How many.
    pub(super) count: u64,
    /// Nanoseconds of all of them.
    pub(super) ns: u64,
}

/// Makes the kernel count until this is dropped. It is counted for all programs, and costs time.
pub(super) fn count() -> Result<OwnedFd> {
    enable_stats(Stats::RunTime).context("BPF statistics")
}

/// The programs that a process has open, directly or through a link.
pub(super) fn of_process(pid: u32) -> Result<Vec<Runs>> {
    let ids = program_ids(pid)?;
    Ok(all()
        .filter_map(|(id, runs)| ids.contains(&id).then_some(runs))
        .collect())
}

/// The programs of a process that ran during some work.
pub(super) fn measure<T>(pid: u32, work: impl FnOnce() -> Result<T>) -> Result<Vec<Runs>> {
    let ids = program_ids(pid)?;
    let ours = || {
        all()
            .filter(|(id, _)| ids.contains(id))
            .collect::<BTreeMap<_, _>>()
    };
    let counting = count()?;
    let before = ours();
    work()?;
    let mut after = ours();
    drop(counting);
    for (id, program) in &mut after {
        if let Some(earlier) = before.get(id) {
            program.count -= earlier.count;
            program.ns -= earlier.ns;
        }
    }
    after.retain(|_, program| program.count > 0);
    Ok(after.into_values().collect())
}

/// Whether a portwatch is tracing: its programs are known by their names.
pub(super) fn is_portwatch_loaded() -> bool {
    all().any(|(_, program)| program.name == "enter_bind")
}

fn all() -> impl Iterator<Item = (u32, Runs)> {
    // One may be gone between being listed and being opened.
    loaded_programs().filter_map(Result::ok).map(|program| {
        let runs = Runs {
            name: program.name_as_str().unwrap_or_default().to_owned(),
            count: program.run_count(),
            ns: program.run_time().as_nanos() as u64,
        };
        (program.id(), runs)
    })
}

fn program_ids(pid: u32) -> Result<BTreeSet<u32>> {
    let directory = format!("/proc/{pid}/fdinfo");
    let mut ids = BTreeSet::new();
    for entry in fs::read_dir(&directory).context(directory)? {
        // A descriptor may be closed meanwhile.
        let Ok(text) = fs::read_to_string(entry?.path()) else {
            continue;
        };
        let id = text.lines().find_map(|line| line.strip_prefix("prog_id:"));
        ids.extend(id.and_then(|id| id.trim().parse::<u32>().ok()));
    }
    Ok(ids)
}
