//! Tables that stand in pages of the documentation.

use anyhow::{Context, Result, bail};

use crate::page::Section;
pub(super) use crate::page::read;

const SECTION: Section = Section {
    command: "vm --kernel all",
};

/// Puts a table into a page.
pub(super) fn write(file: &str, table: &str) -> Result<()> {
    SECTION.write(file, table)
}

/// Fails if a page has another table, as far as that is `lasting`: the cells that are the same wherever it is made.
pub(super) fn check(file: &str, table: &str, lasting: fn(&str) -> Vec<Vec<&str>>) -> Result<()> {
    let page = read(file)?;
    let committed = SECTION.of(&page).with_context(|| file.to_owned())?;
    if lasting(committed) != lasting(table) {
        bail!("{file} is not up to date: run `cargo xtask vm`, which would write\n\n{table}");
    }
    Ok(())
}
