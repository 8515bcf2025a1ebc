//! What cargo itself checks. portwatch-ebpf is left out: it compiles for the BPF target alone (`cargo xtask ebpf`).

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::Outcome;
use crate::shell::{cargo, output, run, say};

/// Every package but the kernel side.
const USER_SPACE: &[&str] = &["--workspace", "--exclude", "portwatch-ebpf", "--locked"];

pub(super) fn fmt() -> Result<Outcome> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    Ok(Outcome::Passed)
}

pub(super) fn clippy() -> Result<Outcome> {
    let mut clippy = cargo();
    clippy.arg("clippy").args(USER_SPACE).arg("--all-targets");
    run(clippy.args(["--", "-D", "warnings"]))?;
    Ok(Outcome::Passed)
}

pub(super) fn doc() -> Result<Outcome> {
    let mut doc = cargo();
    doc.arg("doc").args(USER_SPACE);
    // Without this rustdoc stops at the first package with a warning.
    doc.args(["--no-deps", "--document-private-items", "--keep-going"]);
    run(doc.env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(Outcome::Passed)
}

/// The other architecture that portwatch runs on.
const AARCH64: &str = "aarch64-unknown-linux-gnu";

/// Nothing is linked, and no build script compiles C: Rust's library for the target is all that this needs.
pub(super) fn aarch64() -> Result<Outcome> {
    if !has_target(AARCH64)? {
        say(format!("Installing Rust's library for {AARCH64} ..."));
        let mut rustup = Command::new("rustup");
        if let Err(error) = run(rustup.args(["target", "add", AARCH64])) {
            return Ok(Outcome::Skipped(format!("{error:#}")));
        }
    }
    let mut check = cargo();
    check.arg("check").args(USER_SPACE).arg("--all-targets");
    run(check.args(["--target", AARCH64]))?;
    Ok(Outcome::Passed)
}

/// Whether the compiler has a library for this target.
fn has_target(target: &str) -> Result<bool> {
    let mut rustc = Command::new("rustc");
    let directory = output(rustc.args(["--print", "target-libdir", "--target", target]))?;
    Ok(Path::new(&directory).is_dir())
}
