//! portwatch under test.

mod files;
mod lines;
mod log;
mod run;
mod trace;

use std::{env, fs, path::PathBuf, process::Command, sync::OnceLock, time::Duration};

use anyhow::{Context, Result, ensure};
use nix::unistd::geteuid;

pub use self::{
    files::wait_for_files,
    lines::Lines,
    log::{check_file, read_file, read_lines},
    run::{Ended, Run},
    trace::{Finished, Trace, check_log, check_totals, parse_log, totals, trace_command},
};

/// Longest wait for something that portwatch is about to say: long enough for a busy machine, as only a test that hangs
/// comes to its end. `PORTWATCH_TEST_TIMEOUT` (seconds) changes it.
#[must_use]
pub fn patience() -> Duration {
    let seconds = env::var("PORTWATCH_TEST_TIMEOUT")
        .ok()
        .and_then(|value| value.parse().ok());
    Duration::from_secs(seconds.unwrap_or(120))
}

/// The portwatch binary: `PORTWATCH_BIN`, else the one in the target directory that this program lies in, which is built
/// when cargo runs the tests.
pub fn portwatch_binary() -> Result<PathBuf> {
    if let Some(path) = env::var_os("PORTWATCH_BIN") {
        return Ok(path.into());
    }
    // Programs lie in the directory of the profile, tests in `deps` below it.
    let own = env::current_exe()?;
    let own = own.parent().context("no directory")?;
    let profile = if own.ends_with("deps") {
        own.parent().unwrap_or(own)
    } else {
        own
    };
    build_portwatch(profile.ends_with("release"))?;
    let binary = profile.join("portwatch");
    ensure!(
        binary.is_file(),
        "no {}: build it, or set PORTWATCH_BIN",
        binary.display()
    );
    Ok(binary)
}

/// Builds portwatch, once, if cargo runs us: it does not do so for the tests of another package.
fn build_portwatch(release: bool) -> Result<()> {
    static BUILT: OnceLock<bool> = OnceLock::new();
    let Some(cargo) = env::var_os("CARGO") else {
        return Ok(());
    };
    let built = BUILT.get_or_init(|| {
        let mut command = Command::new(cargo);
        command.args([
            "build",
            "--quiet",
            "--package",
            "portwatch",
            "--bin",
            "portwatch",
        ]);
        command.args(release.then_some("--release"));
        command.status().is_ok_and(|status| status.success())
    });
    ensure!(*built, "portwatch cannot be built");
    Ok(())
}

/// Arguments that every `portwatch trace` has, from the environment.
#[must_use]
pub fn common_arguments() -> Vec<String> {
    let arguments = [
        ("PORTWATCH_BPF_OBJECT", "--bpf-object"),
        ("PORTWATCH_TEST_TIER", "--tier"),
    ];
    let set = arguments
        .into_iter()
        .filter_map(|(variable, argument)| Some([argument.to_owned(), env::var(variable).ok()?]));
    set.flatten().collect()
}

/// Whether the test can go on. If not the reason is printed, and in CI that is a failure.
///
/// # Panics
///
/// In CI, where everything that a test needs must be there.
#[expect(
    clippy::must_use_candidate,
    reason = "the message is worth something by itself"
)]
#[expect(clippy::print_stderr, reason = "the output of a test")]
pub fn can(what: &str, is_so: bool) -> bool {
    assert!(
        is_so || env::var_os("CI").is_none(),
        "cannot run in CI: {what}"
    );
    if !is_so {
        eprintln!("skipped: {what}");
    }
    is_so
}

/// Whether this process may trace: as root, and unless `PORTWATCH_TEST_NO_TRACE` is set, in CI too. See [`can`].
#[must_use]
#[expect(clippy::print_stderr, reason = "the output of a test")]
pub fn can_trace() -> bool {
    if env::var_os("PORTWATCH_TEST_NO_TRACE").is_some() {
        eprintln!("skipped: PORTWATCH_TEST_NO_TRACE is set");
        return false;
    }
    can("tracing needs root", geteuid().is_root())
}

/// Peak resident memory of a process, in bytes.
pub fn peak_memory(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .context("no VmHWM")?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes * 1024)
}
