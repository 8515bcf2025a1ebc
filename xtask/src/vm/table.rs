//! What portwatch can know on which kernel: the table in `docs/kernels.md`, which the guests' answers make.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use anyhow::Result;
use serde_json::Value;

use super::job::Tier;
use super::page;

const FILE: &str = "docs/kernels.md";

/// Name of the kernel that this machine has. CI's may be another one, so its rows are not compared.
pub(super) const HERE: &str = "developed on";

/// Which cell of a line has the kernel's release: 0 is what is before the first bar.
const RELEASE: usize = 2;

/// One kernel in one tier.
#[derive(Debug)]
pub(super) struct Row {
    /// What the kernel is called.
    name: String,
    release: String,
    tier: Tier,
    /// How portwatch gets each capability; it lacks those that are not here.
    levels: BTreeMap<String, String>,
}

impl Row {
    /// From what `portwatch doctor` found; nothing if it cannot trace.
    pub(super) fn read(name: &str, tier: Tier, findings: &str) -> Option<Self> {
        let findings: Value = serde_json::from_str(findings).ok()?;
        let level = |hook: &Value| {
            let level = hook["level"].as_str().or(hook["tier"].as_str());
            level.unwrap_or("unknown").to_owned()
        };
        let hooks = findings["hooks"].as_object()?;
        let levels = hooks
            .iter()
            .map(|(capability, hook)| (capability.clone(), level(hook)));
        findings["can_trace"].as_bool()?.then_some(Self {
            name: name.to_owned(),
            release: findings["kernel"].as_str()?.to_owned(),
            tier,
            levels: levels.collect(),
        })
    }
}

/// The table, a line for each row.
pub(super) fn render(rows: &[Row]) -> String {
    let capabilities: BTreeSet<&str> = rows
        .iter()
        .flat_map(|row| row.levels.keys().map(String::as_str))
        .collect();
    let mut table = String::new();
    let mut line = |cells: &[&str]| {
        // Writing to a string does not fail.
        let _ = writeln!(table, "| {} |", cells.join(" | "));
    };
    let head = ["kernel", "release", "tier"];
    let head: Vec<&str> = head.into_iter().chain(capabilities.clone()).collect();
    line(&head);
    line(&vec!["---"; head.len()]);
    for row in rows {
        let levels = capabilities
            .iter()
            .map(|name| row.levels.get(*name).map_or("absent", String::as_str));
        let first = [row.name.as_str(), row.release.as_str(), row.tier.name()];
        line(&first.into_iter().chain(levels).collect::<Vec<_>>());
    }
    table
}

/// Puts the table into the page.
pub(super) fn write(table: &str) -> Result<()> {
    page::write(FILE, table)
}

/// Fails if the page has another table. Releases of kernels may be newer.
pub(super) fn check(table: &str) -> Result<()> {
    page::check(FILE, table, lasting)
}

/// The cells that are the same wherever it is made.
fn lasting(table: &str) -> Vec<Vec<&str>> {
    table
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with(&format!("| {HERE} ")))
        .map(|line| {
            let mut cells: Vec<_> = line.split('|').map(str::trim).collect();
            cells.remove(RELEASE);
            cells
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINDINGS: &str = concat!(
        r#"{"kernel":"6.1.0-40","can_trace":true,"hooks":{"attempts":{"tier":"tracepoint"},"#,
        r#""conflict":{"tier":"fexit","level":"exact"}}}"#,
        "\n"
    );

    fn table(release: &str, level: &str) -> String {
        let one = FINDINGS
            .replace("6.1.0-40", release)
            .replace("exact", level);
        let other = FINDINGS.replace("conflict", "connections");
        render(&[
            Row::read("6.1", Tier::Fexit, &one).unwrap(),
            Row::read(HERE, Tier::Tracepoint, &other).unwrap(),
        ])
    }

    #[test]
    fn levels_become_a_table() {
        assert_eq!(
            table("6.1.0-40", "exact"),
            "\
| kernel | release | tier | attempts | conflict | connections |
| --- | --- | --- | --- | --- | --- |
| 6.1 | 6.1.0-40 | fexit | tracepoint | exact | absent |
| developed on | 6.1.0-40 | tracepoint | tracepoint | absent | exact |
"
        );
        for nothing in ["", "error: no", &FINDINGS.replace("true", "false")] {
            assert!(Row::read("6.1", Tier::Fexit, nothing).is_none());
        }
    }

    #[test]
    fn a_newer_release_is_the_same_table() {
        let old = table("6.1.0-40", "exact");
        assert_eq!(lasting(&old), lasting(&table("6.1.0-41", "exact")));
        assert_ne!(lasting(&old), lasting(&table("6.1.0-40", "walked")));
    }
}
