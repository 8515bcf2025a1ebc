//! What the hooks counted.

use std::{
    fs,
    os::fd::{AsFd, AsRawFd},
};

use aya::{
    Ebpf,
    maps::{MapData, PerCpuArray},
    programs::ProgramFd,
};
use portwatch_common::counters::{COUNTERS, Counter};

use super::error::BpfError;

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
pub struct Reader(PerCpuArray<MapData, u64>);

impl Reader {
    /// Takes the counters' map.
    ///
    /// # Errors
    ///
    /// If the object has no such map.
    pub fn new(ebpf: &mut Ebpf) -> Result<Self, BpfError> {
        let map = ebpf
            .take_map("COUNTERS")
            .ok_or_else(|| missing("COUNTERS"))?;
        Ok(Self(PerCpuArray::try_from(map).map_err(|error| {
            BpfError::kernel("opening the counters", &error)
        })?))
    }

    /// Sums over the CPUs.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for (index, total) in totals.0.iter_mut().enumerate() {
            if let Ok(values) = self.0.get(&u32::try_from(index).unwrap_or_default(), 0) {
                *total = values.iter().sum();
            }
        }
        totals
    }
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
pub struct Statistics(Option<Vec<ProgramFd>>);

impl Statistics {
    /// Of the programs with these names.
    #[must_use]
    pub fn new(ebpf: &Ebpf, programs: &[&str]) -> Self {
        let fd = |name: &&str| ebpf.program(name)?.fd().ok()?.try_clone().ok();
        Self(programs.iter().map(fd).collect())
    }

    /// How often the kernel skipped a program because it was running on that CPU already (`recursion_misses`, 5.12);
    /// `None` where it keeps no count.
    #[must_use]
    pub fn missed(&self) -> Option<u64> {
        let misses = |program: &ProgramFd| {
            // aya does not pass this number on; the kernel also prints it here.
            let path = format!("/proc/self/fdinfo/{}", program.as_fd().as_raw_fd());
            let info = fs::read_to_string(path).ok()?;
            let count = info
                .lines()
                .find_map(|line| line.strip_prefix("recursion_misses:"))?;
            count.trim().parse::<u64>().ok()
        };
        self.0.as_ref()?.iter().map(misses).sum()
    }
}

/// Waits until no program that was attached a moment ago still runs.
///
/// `membarrier(MEMBARRIER_CMD_GLOBAL)` waits for a grace period of RCU, under which every program runs.
pub fn wait_for_running_programs() {
    // SAFETY: the system call takes no pointers. Where it is missing there is nothing to wait with.
    unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_GLOBAL, 0, 0) };
}
