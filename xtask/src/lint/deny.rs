//! What portwatch may depend on (`deny.toml`), and what is known against those versions.

use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Outcome;
use crate::shell::{cargo, output, run, say};

const VERSION: &str = "0.20.2";

/// How cargo-deny says that it cannot reach the database. Its exit code does not tell.
const UNREACHABLE: &str = "failed to fetch advisory database";

pub(super) fn deny() -> Result<Outcome> {
    if let Err(error) = ensure() {
        return Ok(Outcome::Skipped(format!("{error:#}")));
    }
    let mut deny = deny_command();
    run(deny.args(["--locked", "check", "licenses", "bans", "sources"]))?;
    Ok(Outcome::Passed)
}

/// Fetches the database first, by itself: whatever fails afterwards is an advisory.
pub(super) fn advisories() -> Result<Outcome> {
    if let Err(error) = ensure() {
        return Ok(Outcome::Skipped(format!("{error:#}")));
    }
    let mut fetch = deny_command();
    let fetched = fetch.args(["fetch", "db"]).output();
    let fetched = fetched.context("cannot run cargo deny")?;
    if !fetched.status.success() {
        let stderr = String::from_utf8_lossy(&fetched.stderr);
        let Some(reason) = unreachable(&stderr) else {
            bail!("cargo deny fetch failed: {}", stderr.trim());
        };
        return Ok(Outcome::Skipped(reason));
    }
    run(deny_command().args(["--locked", "--offline", "check", "advisories"]))?;
    Ok(Outcome::Passed)
}

/// Why the database cannot be reached; `None` if something else is wrong.
fn unreachable(stderr: &str) -> Option<String> {
    if !stderr.contains(UNREACHABLE) {
        return None;
    }
    let mut lines = stderr.lines().map(str::trim);
    let reason = lines.rfind(|line| !line.is_empty()).unwrap_or_default();
    Some(format!("the database cannot be reached: {reason}"))
}

fn deny_command() -> Command {
    let mut cargo = cargo();
    cargo.arg("deny");
    cargo
}

/// Installs cargo-deny unless some version of it is there.
fn ensure() -> Result<()> {
    if output(deny_command().arg("--version")).is_ok() {
        return Ok(());
    }
    say("Installing cargo-deny, which takes some minutes ...");
    let mut install = cargo();
    install
        .args(["install", "cargo-deny", "--version", VERSION])
        .args(["--locked", "--quiet"]);
    run(&mut install)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_out_of_reach_is_told_from_all_other_trouble() {
        let offline = "2026-12-01 15:30:29 [ERROR] failed to fetch database: failed to fetch advisory database \
                       https://example.com/db with cli: failed to clone: [\"clone\"]\n\
                       Cloning into '/db'...\n\
                       fatal: unable to access 'https://example.com/db/': Could not resolve host: example.com\n\n";
        assert_eq!(
            unreachable(offline).unwrap(),
            "the database cannot be reached: fatal: unable to access 'https://example.com/db/': Could not resolve \
             host: example.com"
        );
        let broken =
            "2026-12-01 15:30:02 [ERROR] failed to validate configuration file deny.toml\n";
        assert_eq!(unreachable(broken), None);
    }
}
