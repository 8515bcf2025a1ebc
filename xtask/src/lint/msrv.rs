//! The oldest Rust that the manifests claim really compiles the workspace.

use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::Outcome;
use crate::shell::{output, root, run, say};
use crate::workspace::{Package, packages};

pub(super) fn msrv() -> Result<Outcome> {
    let claimed = claimed(&packages()?)?;
    if version(&claimed).is_err() {
        say(format!("Installing Rust {claimed} ..."));
        let mut rustup = Command::new("rustup");
        rustup.args(["toolchain", "install", &claimed, "--profile", "minimal"]);
        if let Err(error) = run(rustup.arg("--no-self-update")) {
            return Ok(Outcome::Skipped(format!("{error:#}")));
        }
    }
    let version = version(&claimed)?;
    ensure!(
        is_of(&version, &claimed),
        "the manifests claim Rust {claimed}, but its toolchain is {version}"
    );
    let mut check = with(&claimed, "cargo");
    check.args(["check", "--workspace", "--exclude", "portwatch-ebpf"]);
    run(check.args(["--all-targets", "--locked"]))?;
    Ok(Outcome::Passed)
}

/// The one version that all packages claim.
fn claimed(packages: &[Package]) -> Result<String> {
    let mut claims = packages.iter().map(|package| {
        let claim = package.rust_version.as_deref();
        claim.with_context(|| format!("{} states no rust-version", package.name))
    });
    let first = claims.next().context("there is no package")??;
    for claim in claims {
        let claim = claim?;
        if claim != first {
            bail!("one package states rust-version {first}, another {claim}");
        }
    }
    Ok(first.to_owned())
}

/// A program of this toolchain. The cargo around us has selected another one.
fn with(toolchain: &str, program: &str) -> Command {
    let mut rustup = Command::new("rustup");
    rustup
        .current_dir(root())
        .args(["run", toolchain, program])
        .env("RUSTUP_AUTO_INSTALL", "0");
    for variable in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN"] {
        rustup.env_remove(variable);
    }
    rustup
}

/// What the toolchain's compiler says of itself: `rustc 1.88.0 (6b00bc388 2025-06-23)`.
fn version(toolchain: &str) -> Result<String> {
    output(with(toolchain, "rustc").arg("--version"))
}

/// Whether a compiler is of the claimed version: its patch releases count as the same where the claim names none.
fn is_of(compiler: &str, claimed: &str) -> bool {
    let number = compiler.split(' ').nth(1).unwrap_or_default();
    number
        .strip_prefix(claimed)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::parse;

    fn claim_of(versions: &[&str]) -> Result<String> {
        let packages: Vec<_> = versions
            .iter()
            .map(|version| format!(r#"{{"name": "p", "rust_version": {version}}}"#))
            .collect();
        claimed(&parse(&format!(
            "{{\"packages\": [{}]}}",
            packages.join(",")
        ))?)
    }

    #[test]
    fn all_packages_make_one_claim() {
        assert_eq!(claim_of(&["\"1.88\"", "\"1.88\""]).unwrap(), "1.88");
        assert!(claim_of(&["\"1.88\"", "\"1.90\""]).is_err());
        assert!(claim_of(&["\"1.88\"", "null"]).is_err());
        assert!(claim_of(&[]).is_err());
    }

    #[test]
    fn a_compiler_of_another_version_proves_nothing() {
        assert!(is_of("rustc 1.88.0 (6b00bc388 2025-06-23)", "1.88"));
        assert!(is_of("rustc 1.88.0 (6b00bc388 2025-06-23)", "1.88.0"));
        assert!(!is_of("rustc 1.88.1 (6b00bc388 2025-06-23)", "1.88.0"));
        assert!(!is_of("rustc 1.95.0 (59807616e 2026-04-14)", "1.88"));
        assert!(!is_of("rustc 1.880.0 (59807616e 2026-04-14)", "1.88"));
        assert!(!is_of("", "1.88"));
    }
}
