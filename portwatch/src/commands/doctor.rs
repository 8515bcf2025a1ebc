//! `portwatch doctor`: what this machine allows, by trying it.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Result;
use serde::Serialize;

use crate::{
    bpf::{
        attach::{Attach, Attached},
        error::BpfError,
        load::{self, KERNEL_BTF, Request},
        plan::CAPABILITIES,
        privileges::{self, Privileges},
        tracefs,
    },
    cli::DoctorArgs,
    machine::host::Host,
};
use portwatch_core::model::record::{Degradation, Hook};
use portwatch_log::cli::FormatArg;

/// Nothing can be traced.
const CANNOT_TRACE: u8 = 2;

/// Everything that was found out.
#[derive(Debug, Serialize)]
struct Findings {
    version: &'static str,
    kernel: String,
    arch: String,
    can_trace: bool,
    checks: Vec<Check>,
    hooks: BTreeMap<String, Hook>,
    degraded: Vec<Degradation>,
}

impl Findings {
    fn lacks(&self, capability: &str) -> bool {
        self.degraded.iter().any(|lost| lost.what == capability)
    }
}

/// One thing that tracing needs.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
    /// What was found; if not `ok`, also why and what to do.
    detail: String,
}

/// Reports what this machine allows. Nothing stays attached.
///
/// # Errors
///
/// If the report cannot be written.
pub fn run(args: &DoctorArgs, verbose: bool) -> Result<ExitCode> {
    let findings = examine(args, verbose);
    let mut text = String::new();
    match args.format {
        FormatArg::Json => text = serde_json::to_string(&findings)? + "\n",
        FormatArg::Text => render(&findings, &mut text)?,
    }
    match anstream::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    Ok(if findings.can_trace {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(CANNOT_TRACE)
    })
}

fn examine(args: &DoctorArgs, verbose: bool) -> Findings {
    let host = Host::this();
    let mut checks = vec![
        check_privileges(),
        check_lockdown(),
        check_tracefs(),
        check_btf(),
    ];
    let mut hooks = BTreeMap::new();
    let mut degraded = Vec::new();
    match try_all(args, verbose) {
        Ok(attached) => {
            hooks.clone_from(&attached.hooks);
            degraded.clone_from(&attached.degraded);
            checks.push(Check {
                name: "hooks",
                ok: true,
                detail: "the kernel took the programs and attached them".to_owned(),
            });
        }
        Err(error) => checks.push(Check {
            name: "hooks",
            ok: false,
            detail: error.to_string(),
        }),
    }
    let can_trace = hooks.contains_key("attempts");
    Findings {
        version: env!("CARGO_PKG_VERSION"),
        kernel: host.kernel,
        arch: host.arch,
        can_trace,
        checks,
        hooks,
        degraded,
    }
}

/// Loads and attaches everything, and lets go of it again.
fn try_all(args: &DoctorArgs, verbose: bool) -> Result<Attached, BpfError> {
    privileges::check()?;
    let kernel = load::kernel()?;
    let request = Request {
        object: args.bpf_object.as_deref(),
        verbose,
        ..Request::default()
    };
    let mut ebpf = load::load(&request, &kernel)?;
    let attach = Attach {
        kernel: &kernel,
        tier: args.tier.map(Into::into),
    };
    attach.attach(&mut ebpf)
}

fn check_privileges() -> Check {
    let (ok, detail) = match (Privileges::own(), privileges::check()) {
        (Ok(own), Ok(())) => (true, format!("effective capabilities {:#x}", own.effective)),
        (_, Err(error)) => (false, error.to_string()),
        (Err(error), Ok(())) => (false, format!("/proc/self/status cannot be read: {error}")),
    };
    Check {
        name: "privileges",
        ok,
        detail,
    }
}

fn check_lockdown() -> Check {
    let (ok, detail) = match fs::read_to_string("/sys/kernel/security/lockdown") {
        Ok(modes) if modes.contains("[confidentiality]") => (
            false,
            "lockdown=confidentiality: the kernel lets nobody read its memory, so nothing can be traced; boot with lockdown=integrity or none"
                .to_owned(),
        ),
        Ok(modes) => {
            let mode = modes.split(['[', ']']).nth(1).unwrap_or("unknown");
            (true, format!("lockdown={mode}"))
        }
        Err(_) => (true, "no lockdown is reported (securityfs is not mounted, or the kernel has none)".to_owned()),
    };
    Check {
        name: "lockdown",
        ok,
        detail,
    }
}

fn check_tracefs() -> Check {
    let (ok, detail) = match (tracefs::mounted(), tracefs::with(|| ())) {
        (Some(path), _) => (true, format!("mounted on {path}")),
        (None, Ok(())) => (
            true,
            "not mounted; portwatch mounts it for itself while it attaches".to_owned(),
        ),
        (None, Err(error)) => (false, error.to_string()),
    };
    Check {
        name: "tracefs",
        ok,
        detail,
    }
}

fn check_btf() -> Check {
    match load::kernel() {
        Ok(_) => Check {
            name: "BTF",
            ok: true,
            detail: format!("{KERNEL_BTF} describes everything that portwatch reads"),
        },
        Err(error) => Check {
            name: "BTF",
            ok: false,
            detail: error.to_string(),
        },
    }
}

fn render(findings: &Findings, out: &mut String) -> std::fmt::Result {
    use std::fmt::Write;
    let Findings {
        version,
        kernel,
        arch,
        ..
    } = findings;
    writeln!(out, "portwatch {version} on Linux {kernel} {arch}\n")?;
    for check in &findings.checks {
        let mark = if check.ok { "ok" } else { "NO" };
        writeln!(out, "  {mark}  {:<11} {}", check.name, check.detail)?;
    }
    if findings.can_trace {
        writeln!(out, "\nWhat it can tell, and from where:")?;
    }
    for capability in CAPABILITIES.iter().filter(|_| findings.can_trace) {
        match findings.hooks.get(capability.name) {
            Some(hook) => writeln!(
                out,
                "  {:<11} {:<8} {:<11} {}",
                hook.tier, hook.level, capability.name, capability.what
            )?,
            None if findings.lacks(capability.name) => writeln!(
                out,
                "  {:<11} {:<8} {:<11} without: {}",
                "-", "absent", capability.name, capability.lost
            )?,
            // This kernel has nothing of the kind.
            None => {}
        }
    }
    if !findings.degraded.is_empty() {
        writeln!(out, "\nWhat it cannot know here:")?;
        for lost in &findings.degraded {
            writeln!(out, "  {}: {}", lost.what, lost.why)?;
        }
    }
    let conclusion = if findings.can_trace {
        "`portwatch trace` works here."
    } else {
        "`portwatch trace` does not work here: see the lines marked NO."
    };
    writeln!(out, "\n{conclusion}")
}
