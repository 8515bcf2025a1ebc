//! Attaching, capability by capability.

use std::collections::BTreeMap;

use aya::{
    Btf, Ebpf,
    programs::{
        BtfTracePoint, Iter, Program, TracePoint, tp_btf::BtfTracePointLink,
        trace_point::TracePointLink,
    },
};

use super::{
    error::BpfError,
    plan::{CAPABILITIES, Capability, Hook, Point, TRACEPOINT_LIMITS},
    tracefs,
};
use crate::model::record::{Degradation, Hook as HookRecord};

/// An attached program; detaches when dropped.
#[derive(Debug)]
#[expect(dead_code, reason = "held for their Drop")]
enum Link {
    Tracepoint(TracePointLink),
    BtfTracepoint(BtfTracePointLink),
}

/// What is attached, and what could not be.
#[derive(Debug, Default)]
pub struct Attached {
    links: Vec<Link>,
    /// The iterator over open sockets is loaded.
    pub has_holders: bool,
    /// Capability -> where it comes from.
    pub hooks: BTreeMap<String, HookRecord>,
    /// What cannot be known, and why.
    pub degraded: Vec<Degradation>,
    /// Names of the programs, for their statistics.
    programs: Vec<&'static str>,
}

impl Attached {
    /// Detaches every hook. The programs and maps stay, so that counters can be read.
    pub fn detach(&mut self) {
        // Returns before entries: a return without its entry is told as a call whose address is not known.
        while self.links.pop().is_some() {}
    }

    /// Names of the programs that were attached.
    #[must_use]
    pub fn programs(&self) -> &[&'static str] {
        &self.programs
    }
}

/// Attaches what this kernel allows.
///
/// # Errors
///
/// If a capability is refused without which nothing can be traced.
pub fn attach(ebpf: &mut Ebpf) -> Result<Attached, BpfError> {
    tracefs::with(|| attach_all(ebpf))?
}

fn attach_all(ebpf: &mut Ebpf) -> Result<Attached, BpfError> {
    let btf =
        Btf::from_sys_fs().map_err(|error| BpfError::kernel("reading the kernel's BTF", &error))?;
    let mut attached = Attached::default();
    for capability in CAPABILITIES {
        match attach_capability(ebpf, &btf, capability, &mut attached) {
            Ok(()) => {
                let attached_points = capability
                    .hooks
                    .iter()
                    .map(|hook| hook.point.name())
                    .collect();
                attached.hooks.insert(
                    capability.name.to_owned(),
                    HookRecord {
                        tier: tier(capability).to_owned(),
                        attached: attached_points,
                    },
                );
            }
            Err(error) if capability.required => return Err(error),
            Err(error) => attached.degraded.push(Degradation {
                what: capability.name.to_owned(),
                why: format!("{} ({error})", capability.lost),
            }),
        }
    }
    attached
        .degraded
        .extend(TRACEPOINT_LIMITS.iter().map(|(what, why)| Degradation {
            what: (*what).to_owned(),
            why: (*why).to_owned(),
        }));
    Ok(attached)
}

fn tier(capability: &Capability) -> &'static str {
    match capability.hooks.first().map(|hook| hook.point) {
        Some(Point::Iterator(_)) => "iterator",
        _ => "tracepoint",
    }
}

fn attach_capability(
    ebpf: &mut Ebpf,
    btf: &Btf,
    capability: &Capability,
    attached: &mut Attached,
) -> Result<(), BpfError> {
    // All or nothing: an entry hook without its return hook would only fill the table of calls.
    let mut links = Vec::new();
    for hook in capability.hooks {
        if let Some(link) = attach_hook(ebpf, btf, hook, attached)? {
            links.push(link);
        }
    }
    attached.links.append(&mut links);
    attached
        .programs
        .extend(capability.hooks.iter().map(|hook| hook.program));
    Ok(())
}

fn attach_hook(
    ebpf: &mut Ebpf,
    btf: &Btf,
    hook: &Hook,
    attached: &mut Attached,
) -> Result<Option<Link>, BpfError> {
    let what = format!("attaching {}", hook.point.name());
    let fail = |error: &(dyn std::error::Error + 'static)| BpfError::kernel(what.clone(), error);
    let program = ebpf
        .program_mut(hook.program)
        .ok_or_else(|| BpfError::Kernel {
            what: what.clone(),
            message: format!("the object has no program `{}`", hook.program),
            log: None,
        })?;
    match (hook.point, program) {
        (Point::Tracepoint(category, name), Program::TracePoint(program)) => {
            let program: &mut TracePoint = program;
            program.load().map_err(|error| fail(&error))?;
            let id = program
                .attach(category, name)
                .map_err(|error| fail(&error))?;
            Ok(Some(Link::Tracepoint(
                program.take_link(id).map_err(|error| fail(&error))?,
            )))
        }
        (Point::BtfTracepoint(name), Program::BtfTracePoint(program)) => {
            let program: &mut BtfTracePoint = program;
            program.load(name, btf).map_err(|error| fail(&error))?;
            let id = program.attach().map_err(|error| fail(&error))?;
            Ok(Some(Link::BtfTracepoint(
                program.take_link(id).map_err(|error| fail(&error))?,
            )))
        }
        (Point::Iterator(name), Program::Iter(program)) => {
            let program: &mut Iter = program;
            program.load(name, btf).map_err(|error| fail(&error))?;
            // It is attached anew for each reading.
            attached.has_holders = true;
            Ok(None)
        }
        _ => Err(BpfError::Kernel {
            what: what.clone(),
            message: format!("`{}` is a program of another type", hook.program),
            log: None,
        }),
    }
}
