//! Attaching, capability by capability.

use std::{collections::BTreeMap, error::Error};

use aya::{
    Btf, Ebpf,
    maps::Array,
    programs::{
        BtfTracePoint, FEntry, FExit, Iter, Program, TracePoint, fentry::FEntryLink,
        fexit::FExitLink, tp_btf::BtfTracePointLink, trace_point::TracePointLink,
    },
};
use portwatch_common::offsets::ABSENT;

use super::{
    error::BpfError,
    load::Kernel,
    plan::{CAPABILITIES, Capability, Hook, Point, Tier, Way, When},
    tracefs,
};
use portwatch_core::model::record::{Degradation, Hook as HookRecord};

/// An attached program; detaches when dropped.
#[derive(Debug)]
#[expect(dead_code, reason = "held for their Drop")]
enum Link {
    Tracepoint(TracePointLink),
    BtfTracepoint(BtfTracePointLink),
    Entry(FEntryLink),
    Exit(FExitLink),
}

/// What is attached, and what could not be.
#[derive(Debug, Default)]
pub struct Attached {
    links: Vec<Link>,
    /// Capability -> where it comes from.
    pub hooks: BTreeMap<String, HookRecord>,
    /// What cannot be known, and why.
    pub degraded: Vec<Degradation>,
    /// Names of the programs, for their statistics.
    programs: Vec<&'static str>,
    switches: u32,
}

impl Attached {
    /// Detaches every hook. The programs and maps stay, so that counters can be read.
    pub fn detach(&mut self) {
        // Returns before entries: a return without its entry becomes a call whose address is not known.
        while self.links.pop().is_some() {}
    }

    /// Names of the programs that were attached.
    #[must_use]
    pub fn programs(&self) -> &[&'static str] {
        &self.programs
    }

    /// True if this program was loaded.
    #[must_use]
    pub fn has(&self, program: &str) -> bool {
        self.programs.contains(&program)
    }
}

/// What is to be attached, and to which kernel.
#[derive(Debug)]
pub struct Attach<'a> {
    /// The kernel.
    pub kernel: &'a Kernel,
    /// Only this tier, for capabilities that have it.
    pub tier: Option<Tier>,
}

/// Why a way is closed.
#[derive(Debug, thiserror::Error)]
enum Closed {
    /// This kernel does not have the function.
    #[error("{0}")]
    Absent(String),
    /// It refuses.
    #[error(transparent)]
    Refused(#[from] BpfError),
}

impl Attach<'_> {
    /// Attaches what this kernel allows.
    ///
    /// # Errors
    ///
    /// If a capability is refused without which nothing can be traced, or the tier that was asked for.
    pub fn attach(&self, ebpf: &mut Ebpf) -> Result<Attached, BpfError> {
        tracefs::with(|| self.all(ebpf))?
    }

    fn all(&self, ebpf: &mut Ebpf) -> Result<Attached, BpfError> {
        let btf = Btf::from_sys_fs()
            .map_err(|error| BpfError::kernel("reading the kernel's BTF", &error))?;
        let mut attached = Attached::default();
        let offsets = &self.kernel.offsets;
        for capability in CAPABILITIES
            .iter()
            .filter(|capability| (capability.applies)(offsets))
        {
            self.capability(ebpf, &btf, capability, &mut attached)?;
        }
        set_switches(ebpf, attached.switches)?;
        Ok(attached)
    }

    /// Takes the best way that is open.
    fn capability(
        &self,
        ebpf: &mut Ebpf,
        btf: &Btf,
        capability: &Capability,
        attached: &mut Attached,
    ) -> Result<(), BpfError> {
        let asked = self
            .tier
            .filter(|tier| capability.ways.iter().any(|way| way.tier == *tier));
        let mut why = None;
        for way in capability.ways {
            if self.tier == Some(Tier::Tracepoint) && way.tier == Tier::Fexit {
                continue;
            }
            match self.way(ebpf, btf, way, attached) {
                Ok(points) => {
                    attached.hooks.insert(
                        capability.name.to_owned(),
                        HookRecord {
                            tier: way.tier.as_str().to_owned(),
                            level: way.level.as_str().to_owned(),
                            attached: points,
                        },
                    );
                    attached.switches |= way.switches;
                    let limits = way.limits.iter().map(|(what, why)| Degradation {
                        what: (*what).to_owned(),
                        why: (*why).to_owned(),
                    });
                    attached.degraded.extend(limits);
                    return Ok(());
                }
                Err(Closed::Refused(error)) if capability.required || asked == Some(way.tier) => {
                    return Err(error);
                }
                Err(closed) => why = Some(closed),
            }
        }
        let why = match why {
            None => capability.lost.to_owned(),
            Some(Closed::Refused(BpfError::NoFexit { source, .. })) => format!(
                "{} (this kernel lets nobody attach programs to its functions: {source})",
                capability.lost
            ),
            Some(closed) => format!("{} ({closed})", capability.lost),
        };
        attached.degraded.push(Degradation {
            what: capability.name.to_owned(),
            why,
        });
        Ok(())
    }

    /// Attaches all hooks of a way, or none: an entry hook without its return hook would only fill the table of calls.
    fn way(
        &self,
        ebpf: &mut Ebpf,
        btf: &Btf,
        way: &Way,
        attached: &mut Attached,
    ) -> Result<Vec<String>, Closed> {
        let mut hooks = Vec::new();
        for hook in way.hooks {
            if self.wants(hook)? {
                hooks.push(hook);
            }
        }
        let mut links = Vec::new();
        for hook in &hooks {
            let link = attach_hook(ebpf, btf, hook);
            links.extend(link.map_err(|error| refused(error, hook))?);
        }
        attached.links.append(&mut links);
        attached
            .programs
            .extend(hooks.iter().map(|hook| hook.program));
        let mut points: Vec<String> = hooks.iter().map(|hook| hook.point.name()).collect();
        points.dedup();
        Ok(points)
    }

    /// False for a hook that this kernel does not need.
    fn wants(&self, hook: &Hook) -> Result<bool, Closed> {
        let offsets = &self.kernel.offsets;
        match hook.when {
            When::NoCookies if offsets.fn_socket_ptr_cookie != ABSENT => return Ok(false),
            When::Preemptible if offsets.fn_trace_call_faultable == ABSENT => return Ok(false),
            When::UnixTypes if !offsets.describe_unix_sockets() => {
                return Err(Closed::Absent(
                    "the types of this kernel do not describe unix sockets".to_owned(),
                ));
            }
            _ => {}
        }
        let Some(function) = hook.point.function() else {
            return Ok(true);
        };
        match (self.kernel.functions.arity(function.name), function.arity) {
            (None, _) if hook.when == When::Exists => Ok(false),
            (None, _) => Err(Closed::Absent(format!(
                "this kernel has no function {}()",
                function.name
            ))),
            (Some(found), Some(expected)) if found != expected => Err(Closed::Absent(format!(
                "{}() of this kernel has {found} parameters and not {expected}",
                function.name
            ))),
            _ => Ok(true),
        }
    }
}

/// A refusal of programs on functions has reasons of its own.
fn refused(error: BpfError, hook: &Hook) -> BpfError {
    match error {
        BpfError::Refused { what, source, .. } if hook.point.function().is_some() => {
            BpfError::NoFexit { what, source }
        }
        other => other,
    }
}

/// Tells the kernel side which of its ways are in use.
fn set_switches(ebpf: &mut Ebpf, switches: u32) -> Result<(), BpfError> {
    let fail = |error: &(dyn Error + 'static)| BpfError::kernel("setting the switches", error);
    let Some(map) = ebpf.map_mut("SWITCHES") else {
        return Ok(());
    };
    let mut map: Array<_, u32> = Array::try_from(map).map_err(|error| fail(&error))?;
    map.set(0, switches, 0).map_err(|error| fail(&error))
}

fn attach_hook(ebpf: &mut Ebpf, btf: &Btf, hook: &Hook) -> Result<Option<Link>, BpfError> {
    let what = format!("attaching {}", hook.point.name());
    let fail = |error: &(dyn Error + 'static)| BpfError::kernel(what.clone(), error);
    let program = ebpf
        .program_mut(hook.program)
        .ok_or_else(|| BpfError::Kernel {
            what: what.clone(),
            message: format!("the object has no program `{}`", hook.program),
            log: None,
        })?;
    let link = match (hook.point, program) {
        (Point::Tracepoint(category, name), Program::TracePoint(program)) => {
            let program: &mut TracePoint = program;
            program.load().map_err(|error| fail(&error))?;
            let id = program
                .attach(category, name)
                .map_err(|error| fail(&error))?;
            Link::Tracepoint(program.take_link(id).map_err(|error| fail(&error))?)
        }
        (Point::BtfTracepoint(name), Program::BtfTracePoint(program)) => {
            let program: &mut BtfTracePoint = program;
            // One that belongs to two ways has been loaded for the first of them.
            if program.fd().is_err() {
                program.load(name, btf).map_err(|error| fail(&error))?;
            }
            let id = program.attach().map_err(|error| fail(&error))?;
            Link::BtfTracepoint(program.take_link(id).map_err(|error| fail(&error))?)
        }
        (Point::Entry(function), Program::FEntry(program)) => {
            let program: &mut FEntry = program;
            program
                .load(function.name, btf)
                .map_err(|error| fail(&error))?;
            let id = program.attach().map_err(|error| fail(&error))?;
            Link::Entry(program.take_link(id).map_err(|error| fail(&error))?)
        }
        (Point::Exit(function), Program::FExit(program)) => {
            let program: &mut FExit = program;
            program
                .load(function.name, btf)
                .map_err(|error| fail(&error))?;
            let id = program.attach().map_err(|error| fail(&error))?;
            Link::Exit(program.take_link(id).map_err(|error| fail(&error))?)
        }
        (Point::Iterator(name), Program::Iter(program)) => {
            let program: &mut Iter = program;
            program.load(name, btf).map_err(|error| fail(&error))?;
            // It is attached again for each reading.
            return Ok(None);
        }
        _ => {
            return Err(BpfError::Kernel {
                what,
                message: format!("`{}` is a program of another type", hook.program),
                log: None,
            });
        }
    };
    Ok(Some(link))
}
