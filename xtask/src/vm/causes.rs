//! Which cause was proven on which kernel: the table in `docs/causes.md`, which the guests' scenarios make.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, Result};

use super::job::Tier;
use super::page;
use super::table::HERE;

const FILE: &str = "docs/causes.md";

/// No scenario has made it happen there, or portwatch cannot name it there.
const NOTHING: &str = "-";

/// One kernel in one tier.
#[derive(Debug)]
pub(super) struct Column {
    /// What the kernel is called.
    name: String,
    tier: Tier,
    /// For each cause how sure it was, or the cause that was named in its place.
    proven: BTreeMap<String, String>,
}

impl Column {
    /// From what the scenarios have proven.
    pub(super) fn read(name: &str, tier: Tier, proven: &str) -> Result<Self> {
        let proven = serde_json::from_str(proven);
        Ok(Self {
            name: name.to_owned(),
            tier,
            proven: proven.with_context(|| {
                format!("kernel {name}, tier {}: nothing was proven", tier.name())
            })?,
        })
    }

    /// True if it is of the same kernel and tier.
    pub(super) fn is_of(&self, other: &Self) -> bool {
        (&self.name, self.tier) == (&other.name, other.tier)
    }

    /// Adds what was proven elsewhere alone.
    pub(super) fn add(&mut self, other: Self) {
        for (id, word) in other.proven {
            self.proven.entry(id).or_insert(word);
        }
    }

    fn head(&self) -> String {
        format!("{}, {}", self.name, self.tier.name())
    }
}

/// The table: a line for each id that the page explains.
pub(super) fn render(columns: &[Column]) -> Result<String> {
    Ok(table(&ids(&page::read(FILE)?), columns))
}

/// Puts the table into the page.
pub(super) fn write(table: &str) -> Result<()> {
    page::write(FILE, table)
}

/// Fails if the page has another table.
pub(super) fn check(table: &str) -> Result<()> {
    page::check(FILE, table, lasting)
}

/// Its headings of the second level.
fn ids(page: &str) -> Vec<&str> {
    page.lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect()
}

fn table(ids: &[&str], columns: &[Column]) -> String {
    let mut table = String::new();
    let mut line = |first: &str, rest: Vec<&str>| {
        // Writing to a string does not fail.
        let _ = writeln!(table, "| {first} | {} |", rest.join(" | "));
    };
    let heads: Vec<String> = columns.iter().map(Column::head).collect();
    line("id", heads.iter().map(String::as_str).collect());
    line("---", vec!["---"; columns.len()]);
    for id in ids {
        let cell = |column: &Column| column.proven.get(*id).cloned();
        let cells: Vec<_> = columns.iter().map(cell).collect();
        let cells = cells.iter().map(|cell| cell.as_deref().unwrap_or(NOTHING));
        line(&format!("`{id}`"), cells.collect());
    }
    table
}

/// The cells that are the same wherever it is made: not those of the machine that portwatch is developed on.
fn lasting(table: &str) -> Vec<Vec<&str>> {
    let rows = table.lines().filter(|line| !line.is_empty());
    let rows: Vec<Vec<&str>> = rows
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    let heads = rows.first().cloned().unwrap_or_default();
    let lasts = |position: usize| {
        heads
            .get(position)
            .is_none_or(|head| !head.starts_with(HERE))
    };
    let cells = |row: Vec<_>| {
        let cells = row.into_iter().enumerate();
        cells
            .filter(|(position, _)| lasts(*position))
            .map(|(_, cell)| cell)
            .collect()
    };
    rows.into_iter().map(cells).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(here: &str) -> String {
        let column = |name, tier, proven| Column::read(name, tier, proven).unwrap();
        let page = "# t\n\n## a-cause\n\ntext\n\n## another\n";
        table(
            &ids(page),
            &[
                column(
                    "6.1",
                    Tier::Fexit,
                    r#"{"a-cause":"exact","another":"unknown"}"#,
                ),
                column("6.1", Tier::Tracepoint, r#"{"a-cause":"walked"}"#),
                column(HERE, Tier::Tracepoint, here),
            ],
        )
    }

    #[test]
    fn what_was_proven_becomes_a_table() {
        assert_eq!(
            made("{}"),
            "\
| id | 6.1, fexit | 6.1, tracepoint | developed on, tracepoint |
| --- | --- | --- | --- |
| `a-cause` | exact | walked | - |
| `another` | unknown | - | - |
"
        );
        assert!(Column::read("6.1", Tier::Fexit, "").is_err());
    }

    #[test]
    fn what_another_machine_proved_alone_is_added() {
        let read = |proven| Column::read("6.1", Tier::Fexit, proven).unwrap();
        let mut column = read(r#"{"a":"exact","b":"walked"}"#);
        let other = read(r#"{"a":"inferred","c":"inferred"}"#);
        assert!(column.is_of(&other));
        assert!(!column.is_of(&Column::read("6.1", Tier::Tracepoint, "{}").unwrap()));
        column.add(other);
        let words: Vec<_> = column.proven.values().map(String::as_str).collect();
        assert_eq!(words, ["exact", "walked", "inferred"]);
    }

    #[test]
    fn the_machine_of_now_does_not_count() {
        let other = made(r#"{"a-cause":"walked"}"#);
        assert_eq!(lasting(&made("{}")), lasting(&other));
        let without: Vec<&str> = vec!["", "id", "6.1, fexit", "6.1, tracepoint", ""];
        assert_eq!(lasting(&other)[0], without);
        assert_ne!(lasting(&other), lasting(&other.replace("exact", "walked")));
    }
}
