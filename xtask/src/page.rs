//! Parts of pages of the documentation that a command writes, between two lines that name it.

use std::fs;

use anyhow::{Context, Result};

use crate::shell::root;

/// The part that one command writes.
pub(crate) struct Section {
    /// Its arguments for `cargo xtask`.
    pub(crate) command: &'static str,
}

const END: &str = "<!-- end -->\n";

/// A page.
pub(crate) fn read(file: &str) -> Result<String> {
    fs::read_to_string(root().join(file)).with_context(|| format!("cannot read {file}"))
}

impl Section {
    /// Puts the text into a page.
    pub(crate) fn write(&self, file: &str, text: &str) -> Result<()> {
        let page = self.replaced(&read(file)?, text);
        let page = page.with_context(|| file.to_owned())?;
        fs::write(root().join(file), page).with_context(|| format!("cannot write {file}"))
    }

    /// What a page has there.
    pub(crate) fn of<'a>(&self, page: &'a str) -> Result<&'a str> {
        self.parts(page).map(|(_, section, _)| section)
    }

    fn begin(&self) -> String {
        format!("<!-- generated: cargo xtask {} -->\n", self.command)
    }

    fn replaced(&self, page: &str, text: &str) -> Result<String> {
        let (before, _, after) = self.parts(page)?;
        let begin = self.begin();
        Ok(format!("{before}{begin}\n{text}\n{END}{after}"))
    }

    /// What is before, the section, and what is behind.
    fn parts<'a>(&self, page: &'a str) -> Result<(&'a str, &'a str, &'a str)> {
        let begin = self.begin();
        let missing = || format!("it does not have the lines {begin}and {END}");
        let (before, rest) = page.split_once(&begin).with_context(missing)?;
        let (section, after) = rest.split_once(END).with_context(missing)?;
        Ok((before, section, after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let section = Section { command: "draw" };
        let begin = section.begin();
        let page = format!("a\n{begin}old\n{END}b\n");
        let new = section.replaced(&page, "| new |\n").unwrap();
        assert_eq!(new, format!("a\n{begin}\n| new |\n\n{END}b\n"));
        assert_eq!(section.replaced(&new, "| new |\n").unwrap(), new);
        assert_eq!(section.of(&new).unwrap().trim(), "| new |");
        assert!(section.replaced("a", "b").is_err());
    }
}
