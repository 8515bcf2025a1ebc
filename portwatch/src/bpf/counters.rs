//! What the hooks counted.

use std::{fs, os::fd::AsRawFd};

use aya::{
    Ebpf,
    maps::{MapData, PerCpuArray},
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
        let map = ebpf.take_map("COUNTERS").ok_or_else(|| missing("COUNTERS"))?;
        Ok(Self(
            PerCpuArray::try_from(map)
                .map_err(|error| BpfError::kernel("opening the counters", &error))?,
        ))
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

/// How often the kernel skipped a program because it was running on that CPU already (`recursion_misses`, 5.12);
/// `None` where it keeps no count.
#[must_use]
pub fn missed(ebpf: &Ebpf, programs: &[&str]) -> Option<u64> {
    let mut sum = None;
    for name in programs {
        let fd = ebpf.program(name).and_then(|program| program.fd().ok())?;
        // aya does not pass this number on; the kernel also prints it here.
        let info =
            fs::read_to_string(format!("/proc/self/fdinfo/{}", std::os::fd::AsFd::as_fd(&fd).as_raw_fd()))
                .ok()?;
        let line = info.lines().find_map(|line| line.strip_prefix("recursion_misses:"))?;
        *sum.get_or_insert(0) += line.trim().parse::<u64>().ok()?;
    }
    sum
}

/// Waits until no program that was attached a moment ago still runs.
///
/// `membarrier(MEMBARRIER_CMD_GLOBAL)` waits for a grace period of RCU, under which every program runs.
pub fn wait_for_running_programs() {
    // SAFETY: the system call takes no pointers. Where it is missing there is nothing to wait with.
    unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_GLOBAL, 0, 0) };
}
