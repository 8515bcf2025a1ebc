//! `cargo xtask test`: all tests, on this machine and on Debian's kernels.

mod parts;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::shell::{cargo, in_ci, output, run, say};
use crate::{LIMIT, kernels, setup, vm};
use parts::Parts;

/// Which tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// Every one.
    All,
    /// Those beside the code.
    Unit,
    /// Those beside the code, and those of the command line that do not trace.
    Quick,
    /// Those that run portwatch.
    Live,
    /// Those on Debian's kernels.
    Kernels,
}

/// Suites of `tests/` that prove much without tracing.
const COMMAND_LINE: &[&str] = &["cli", "cli_replay", "cli_report"];

/// The packages with tests beside their code that need no other program.
const BESIDE_THE_CODE: &[&str] = &[
    "portwatch",
    "portwatch-common",
    "portwatch-core",
    "portwatch-log",
    "portwatch-report",
    "xtask",
];

/// What the tests run.
const PROGRAMS: &[&str] = &["--package", "portwatch", "--package", "portwatch-report"];

/// Where the kernel's tracepoints are listed.
const TRACEFS: &str = "/sys/kernel/tracing";

/// Prepares the machine, builds what the tests run, and runs all parts, whether or not one fails. Arguments are for
/// `cargo test`: who selects some of its tests does not wait for Debian's kernels.
pub(crate) fn test(which: Which, arguments: &[String]) -> Result<()> {
    if which == Which::Quick {
        return quick(arguments);
    }
    let mut parts = Parts::default();
    if which != Which::Unit {
        prepare(&mut parts);
    }
    if which != Which::Kernels {
        parts.run("tests on this machine", || {
            on_this_machine(which, arguments)
        });
    }
    if which == Which::Kernels || which == Which::All && arguments.is_empty() {
        parts.run("tests on Debian's kernels", on_other_kernels);
    }
    say(parts.end()?);
    Ok(())
}

/// With debug builds, which take less time than those that are shipped.
fn quick(arguments: &[String]) -> Result<()> {
    let mut build = cargo();
    run(build.args(["build", "--locked"]).args(PROGRAMS))?;
    let mut test = cargo();
    test.args(["test", "--locked", "--no-fail-fast"])
        .args(["--workspace", "--exclude", "portwatch-ebpf"])
        .args(["--lib", "--bins"])
        .env("PORTWATCH_BIN", target_directory()?.join("debug/portwatch"))
        .env("PORTWATCH_TEST_NO_TRACE", "1");
    for suite in COMMAND_LINE {
        test.args(["--test", suite]);
    }
    run(test.args(arguments))
}

fn on_this_machine(which: Which, arguments: &[String]) -> Result<()> {
    let mut build = cargo();
    run(build
        .args(["build", "--release", "--locked"])
        .args(PROGRAMS))?;
    let mut cargo = cargo();
    cargo.args(["test", "--locked", "--no-fail-fast"]);
    match which {
        Which::Unit => cargo.args(BESIDE_THE_CODE.iter().flat_map(|name| ["--package", name])),
        Which::Live => cargo.args(["--package", "portwatch-tests"]),
        _ => cargo.args(["--workspace", "--exclude", "portwatch-ebpf"]),
    };
    // The program that is tested is the one that is shipped, not its debug build.
    cargo.env(
        "PORTWATCH_BIN",
        target_directory()?.join("release/portwatch"),
    );
    run(cargo.args(arguments))
}

fn on_other_kernels() -> Result<()> {
    let code = vm::vm(&vm::Request::everything(Duration::from_secs(LIMIT)))?;
    ensure!(code == 0, "not all is well on every kernel");
    Ok(())
}

/// Readies the machine for the tests.
type Preparation = fn() -> Result<()>;

/// Installs the programs that the tests run, fetches kernels, mounts tracefs. In CI each of them has to succeed; elsewhere
/// the tests that miss something say so.
fn prepare(parts: &mut Parts) {
    let preparations: [(&'static str, Preparation); 3] = [
        ("programs", setup::tests),
        ("kernels", || kernels::ensure_all(false)),
        ("tracefs", mount_tracefs),
    ];
    for (name, preparation) in preparations {
        if in_ci() {
            parts.run(name, preparation);
        } else {
            parts.prepare(name, preparation);
        }
    }
}

/// The tracepoints' numbers are read there. Ordinary systems have it mounted.
fn mount_tracefs() -> Result<()> {
    let is_root = output(Command::new("id").arg("-u"))? == "0";
    if Path::new(TRACEFS).join("events").exists() || !is_root {
        return Ok(());
    }
    say(format!("Mounting tracefs on {TRACEFS} ..."));
    run(Command::new("mount").args(["-t", "tracefs", "tracefs", TRACEFS]))
}

/// Where cargo puts what it builds: this program is in the directory of a profile in it.
fn target_directory() -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    let target = own.ancestors().nth(2);
    Ok(target
        .context("this program is in no directory")?
        .to_path_buf())
}
