//! From the object's bytes to maps in the kernel; programs are loaded one by one when they are attached.

use std::{collections::BTreeMap, fs, path::Path};

use aya::{Ebpf, EbpfError, EbpfLoader, VerifierLogLevel};
use portwatch_common::{
    ABI_SYMBOL, ABI_VERSION,
    config::Config,
    counters::STRIDE,
    offsets::{ABSENT, Offsets, SOCK_COMMON_LEN},
};
use zerocopy::IntoBytes;

use super::{counters, error::BpfError, kfunc::Preemption, plan::CAPABILITIES};
use crate::btf::{Btf, resolve};

/// The object that this program was built with.
pub(super) static OBJECT: &[u8] = aya::include_bytes_aligned!("../../bpf/portwatch.bpf.o");

/// Where the kernel describes its types.
pub const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// Size of the ring buffer, bytes: some 15,000 attempts, or 4,000 refusals with a full walk.
const RING_BYTES: u32 = 8 * 1024 * 1024;

/// What is asked of the object.
#[derive(Debug, Default)]
pub struct Request<'a> {
    /// Another object than the built-in one.
    pub object: Option<&'a Path>,
    /// Filters. What depends on the kernel is filled in here.
    pub config: Config,
    /// Ask the verifier for its log.
    pub verbose: bool,
}

/// What the running kernel's types say.
#[derive(Debug)]
pub struct Kernel {
    /// Where it keeps what the hooks read.
    pub offsets: Offsets,
    /// Its functions.
    pub functions: Functions,
    /// How programs keep their CPU to themselves, where they can be preempted in a tracepoint and may do so.
    pub preemption: Option<Preemption>,
}

/// The functions that hooks can be attached to.
#[derive(Debug, Default)]
pub struct Functions(BTreeMap<&'static str, usize>);

impl Functions {
    fn new(btf: &Btf<'_>) -> Self {
        let hooks = CAPABILITIES
            .iter()
            .flat_map(|capability| capability.ways)
            .flat_map(|way| way.hooks);
        let found = hooks
            .filter_map(|hook| hook.point.function())
            .filter_map(|function| Some((function.name, btf.func_arity(function.name)?)));
        Self(found.collect())
    }

    /// How many parameters a function has; `None` if this kernel does not have it.
    #[must_use]
    pub fn arity(&self, name: &str) -> Option<usize> {
        self.0.get(name).copied()
    }
}

/// Reads the running kernel's types.
///
/// # Errors
///
/// If it has no BTF, or lacks a member without which nothing can be traced.
pub fn kernel() -> Result<Kernel, BpfError> {
    let bytes = fs::read(KERNEL_BTF).map_err(|source| BpfError::NoBtf {
        path: KERNEL_BTF,
        source,
    })?;
    let btf = Btf::parse(&bytes).map_err(|error| BpfError::Btf(error.to_string()))?;
    let offsets = resolve(&btf).map_err(|error| BpfError::Btf(error.to_string()))?;
    let widest = [
        offsets.skc_v6_rcv_saddr,
        offsets.skc_v6_daddr,
        offsets.skc_hash,
        offsets.skc_node,
    ];
    if widest
        .iter()
        .any(|&at| at != ABSENT && at as usize + 16 > SOCK_COMMON_LEN + 8)
    {
        return Err(BpfError::Btf(
            "struct sock_common is larger than portwatch reads".to_owned(),
        ));
    }
    // Up to 6.14 a program that does so may not call functions of its own, and tracepoints do it for their programs.
    let preemption = (offsets.fn_trace_call_faultable != ABSENT)
        .then(|| Preemption::find(&btf))
        .flatten();
    Ok(Kernel {
        functions: Functions::new(&btf),
        preemption,
        offsets,
    })
}

/// Creates the maps and prepares the programs.
///
/// # Errors
///
/// If the object cannot be read, is of another version, or the kernel refuses its maps.
pub fn load(request: &Request<'_>, kernel: &Kernel) -> Result<Ebpf, BpfError> {
    let offsets = &kernel.offsets;
    let mut object = match request.object {
        None => OBJECT.to_vec(),
        Some(path) => fs::read(path).map_err(|source| BpfError::Object {
            path: path.to_owned(),
            source,
        })?,
    };
    if let Some(preemption) = kernel.preemption {
        preemption.link(&mut object);
    }
    let counters = u32::try_from(counters::cpus()?)
        .unwrap_or(u32::MAX)
        .saturating_mul(STRIDE);
    let mut config = kernel_config(request.config, offsets);
    config.keeps_cpu = u32::from(kernel.preemption.is_some());
    let level = if request.verbose {
        // Only the path that is refused: all of them are more than a log of old kernels may hold, which is an error too.
        VerifierLogLevel::DEBUG
    } else {
        VerifierLogLevel::DISABLE
    };
    EbpfLoader::new()
        .verifier_log_level(level | VerifierLogLevel::STATS)
        .override_global(ABI_SYMBOL, &ABI_VERSION, true)
        .override_global("OFFSETS", offsets.as_bytes(), true)
        .override_global("CONFIG", config.as_bytes(), true)
        .map_max_entries("EVENTS", RING_BYTES)
        .map_max_entries("COUNTERS", counters)
        .load(&object)
        .map_err(|error| match error {
            EbpfError::ParseError(aya_obj::ParseError::SymbolNotFound { name })
                if name == ABI_SYMBOL =>
            {
                BpfError::Abi { symbol: ABI_SYMBOL }
            }
            error => BpfError::kernel("loading the BPF object", &error),
        })
}

/// Adds to the user's filters what the kernel's layout decides.
fn kernel_config(mut config: Config, offsets: &Offsets) -> Config {
    config.uid_from_inode = u32::from(offsets.sk_ino == ABSENT);
    // `struct local_ports` before 6.8: a seqlock, `int range[2]`, `bool warned` (20 bytes or more); since: `u32`, `bool`.
    config.port_range_packed = u32::from(offsets.local_ports_size <= 8);
    let mut count = 0;
    for index in [
        offsets.subsys_pids,
        offsets.subsys_memory,
        offsets.subsys_devices,
        offsets.subsys_cpu,
    ] {
        if index != ABSENT {
            config.cgroup_subsys[count] = index;
            count += 1;
        }
    }
    config.cgroup_subsys_count = u32::try_from(count).unwrap_or_default();
    config
}
