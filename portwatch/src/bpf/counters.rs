//! What the hooks counted.

use std::{
    collections::BTreeMap,
    fs,
    os::fd::{AsFd, AsRawFd},
};

use aya::{Ebpf, programs::ProgramFd};
use portwatch_common::counters::{COUNTERS, Counter, STRIDE};

use super::{error::BpfError, shared::Shared};

/// Totals of the per-CPU counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals([u64; COUNTERS as usize]);

impl Totals {
    /// One counter.
    #[must_use]
    pub const fn get(&self, counter: Counter) -> u64 {
        self.0[counter as usize]
    }
}

/// Reads the counters while the programs run.
#[derive(Debug)]
pub struct Reader {
    values: Shared,
    cpus: usize,
}

impl Reader {
    /// Maps the counters into memory.
    ///
    /// # Errors
    ///
    /// If the object has no such map.
    pub fn new(ebpf: &Ebpf) -> Result<Self, BpfError> {
        let map = ebpf.map("COUNTERS").ok_or_else(|| missing("COUNTERS"))?;
        let cpus = cpus()?;
        let values = Shared::new(map, cpus * STRIDE as usize)?;
        Ok(Self { values, cpus })
    }

    /// Sums over the CPUs.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for (index, total) in totals.0.iter_mut().enumerate() {
            *total = (0..self.cpus)
                .map(|cpu| self.values.load(cpu * STRIDE as usize + index))
                .sum();
        }
        totals
    }
}

/// CPUs that there can be: one more than the highest number.
pub(crate) fn cpus() -> Result<usize, BpfError> {
    aya::util::nr_cpus().map_err(|(what, error)| BpfError::kernel(what, &error))
}

/// An object without a map that it should have.
pub(crate) fn missing(map: &str) -> BpfError {
    BpfError::Kernel {
        what: "loading the BPF object".to_owned(),
        message: format!("it has no map `{map}`"),
        log: None,
    }
}

/// The kernel's own statistics of programs, for as long as this lives.
#[derive(Debug)]
pub struct Statistics(Option<Vec<(String, ProgramFd)>>);

impl Statistics {
    /// Of the programs with these names.
    #[must_use]
    pub fn new(ebpf: &Ebpf, programs: &[&str]) -> Self {
        let fd = |name: &&str| {
            let fd = ebpf.program(name)?.fd().ok()?.try_clone().ok()?;
            Some((original(name).to_owned(), fd))
        };
        Self(programs.iter().map(fd).collect())
    }

    /// How often the kernel skipped a program because it was running on that CPU already (`recursion_misses`, 5.12);
    /// `None` where it keeps no count. Of a program and its copies as often as each of them was skipped, which is never
    /// less than all of them were at once.
    #[must_use]
    pub fn missed(&self) -> Option<u64> {
        let misses = |program: &ProgramFd| -> Option<u64> {
            // aya does not pass this number on; the kernel also prints it here.
            let path = format!("/proc/self/fdinfo/{}", program.as_fd().as_raw_fd());
            let info = fs::read_to_string(path).ok()?;
            let count = info
                .lines()
                .find_map(|line| line.strip_prefix("recursion_misses:"))?;
            count.trim().parse().ok()
        };
        let mut least = BTreeMap::new();
        for (name, program) in self.0.as_ref()? {
            let count = misses(program)?;
            let known = least.entry(name).or_insert(count);
            *known = count.min(*known);
        }
        Some(least.values().sum())
    }
}

/// The name of the program that one is a copy of: `enter_bind_2` is one of `enter_bind`.
fn original(name: &str) -> &str {
    name.trim_end_matches(|c: char| c.is_ascii_digit())
        .strip_suffix('_')
        .unwrap_or(name)
}

/// Waits until no program that was attached a moment ago still runs.
///
/// `membarrier(MEMBARRIER_CMD_GLOBAL)` waits for a grace period of RCU: every program that counts runs under it, or, where
/// tracepoints do not (since 7.2), with preemption off, which such a period waits for as well.
pub fn wait_for_running_programs() {
    // SAFETY: the system call takes no pointers. Where it is missing there is nothing to wait with.
    unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_GLOBAL, 0, 0) };
}
