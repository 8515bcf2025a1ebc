//! Tables that stand in pages of the documentation, between two lines that say where they come from.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::shell::root;

const BEGIN: &str = "<!-- generated: cargo xtask vm --kernel all -->\n";
const END: &str = "<!-- end -->\n";

/// A page.
pub(super) fn read(file: &str) -> Result<String> {
    fs::read_to_string(root().join(file)).with_context(|| format!("cannot read {file}"))
}

/// Puts a table into a page.
pub(super) fn write(file: &str, table: &str) -> Result<()> {
    let page = replaced(&read(file)?, table).with_context(|| file.to_owned())?;
    fs::write(root().join(file), page).with_context(|| format!("cannot write {file}"))
}

/// Fails if a page has another table, as far as that is `lasting`: the cells that are the same wherever it is made.
pub(super) fn check(file: &str, table: &str, lasting: fn(&str) -> Vec<Vec<&str>>) -> Result<()> {
    let page = read(file)?;
    let (_, committed, _) = parts(&page).with_context(|| file.to_owned())?;
    if lasting(committed) != lasting(table) {
        bail!("{file} is not up to date: run `cargo xtask vm`, which would write\n\n{table}");
    }
    Ok(())
}

fn replaced(page: &str, table: &str) -> Result<String> {
    let (before, _, after) = parts(page)?;
    Ok(format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}

/// What is before the table, the table, and what is behind.
fn parts(page: &str) -> Result<(&str, &str, &str)> {
    let missing = || format!("it does not have the lines {BEGIN}and {END}");
    let (before, rest) = page.split_once(BEGIN).with_context(missing)?;
    let (table, after) = rest.split_once(END).with_context(missing)?;
    Ok((before, table, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let page = format!("a\n{BEGIN}old\n{END}b\n");
        let new = replaced(&page, "| new |\n").unwrap();
        assert_eq!(new, format!("a\n{BEGIN}\n| new |\n\n{END}b\n"));
        assert_eq!(replaced(&new, "| new |\n").unwrap(), new);
        assert!(replaced("a", "b").is_err());
    }
}
