//! What each cause means: `docs/causes.md`, which is compiled in, and how a terminal shows it.
//!
//! Of the markdown only what that page has is understood: headings, paragraphs, lists, fenced text, `code` and
//! **strong** words.

use std::fmt::Write;

use anstyle::Style;

use portwatch_core::model::verdict::Cause;
use portwatch_log::theme::Theme;

/// The page.
const PAGE: &str = include_str!("../../../../docs/causes.md");

/// What paragraphs begin with that say what the others do not: why, what to do, what it is not.
const LABELS: &[&str] = &["Why:", "What to do:", "Not this:"];

/// The section of a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its heading: the id.
    pub id: &'static str,
    /// Markdown.
    pub body: &'static str,
}

/// The section of a cause; `None` if the page has none.
#[must_use]
pub fn section(cause: Cause) -> Option<Section> {
    sections(PAGE)
        .into_iter()
        .find(|it| it.id == cause.as_str())
}

/// Every section of a page: what is below a heading of the second level, up to the next heading of that level or the first.
fn sections(page: &'static str) -> Vec<Section> {
    let mut found: Vec<Section> = Vec::new();
    // Heading of the section that is open, and where its body begins.
    let mut open: Option<(&str, usize)> = None;
    let mut fenced = false;
    let mut at = 0;
    for line in page.split_inclusive('\n') {
        fenced ^= line.starts_with("```");
        let heading = line.strip_prefix("## ").filter(|_| !fenced);
        if heading.is_some() || (!fenced && line.starts_with("# ")) {
            if let Some((id, from)) = open.take() {
                let body = page[from..at].trim();
                found.push(Section { id, body });
            }
            open = heading.map(|heading| (heading.trim(), at + line.len()));
        }
        at += line.len();
    }
    if let Some((id, from)) = open {
        let body = page[from..].trim();
        found.push(Section { id, body });
    }
    found
}

impl Section {
    /// The first sentence.
    #[must_use]
    pub fn first_sentence(&self) -> String {
        let paragraph = self.body.split("\n\n").next().unwrap_or_default();
        let text = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
        let end = text.find(". ").map_or(text.len(), |end| end + 1);
        text[..end].to_owned()
    }

    /// As a terminal shows it, in lines of at most this many columns; fenced text is left as it is.
    #[must_use]
    pub fn render(&self, theme: &Theme, width: usize) -> String {
        let mut text = format!("{0}{1}{0:#}\n", theme.cause, self.id);
        for block in blocks(self.body) {
            text.push('\n');
            match block {
                Block::Fenced(lines) => {
                    let faint = theme.faint;
                    for line in lines.lines() {
                        // Writing to memory does not fail.
                        let _ = writeln!(text, "  {faint}{line}{faint:#}");
                    }
                }
                Block::Item(words) => wrap(&words, theme, width, ("- ", "  "), &mut text),
                Block::Paragraph(words) => wrap(&words, theme, width, ("", ""), &mut text),
            }
        }
        text
    }
}

/// The list of all causes, with the first sentence of each.
#[must_use]
pub fn overview(theme: &Theme, width: usize) -> String {
    let all = Cause::ALL.iter().filter_map(|&cause| section(cause));
    let widest = Cause::ALL.iter().map(|cause| cause.as_str().len()).max();
    let indent = widest.unwrap_or_default() + 2;
    let mut text = String::new();
    for section in all {
        let style = theme.cause;
        let padding = " ".repeat(indent - section.id.len());
        let first = format!("{style}{}{style:#}{padding}", section.id);
        let rest = " ".repeat(indent);
        let left = width.saturating_sub(indent);
        let mut lines = String::new();
        wrap(&section.first_sentence(), theme, left, ("", ""), &mut lines);
        for (position, line) in lines.lines().enumerate() {
            let lead = if position == 0 { &first } else { &rest };
            let _ = writeln!(text, "{lead}{line}");
        }
    }
    text
}

/// A part of a section.
#[derive(Debug, PartialEq, Eq)]
enum Block {
    /// Text as it stands.
    Fenced(String),
    /// An item of a list.
    Item(String),
    /// Running text.
    Paragraph(String),
}

fn blocks(body: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = body.lines();
    let mut goes_on = false;
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            let text: Vec<&str> = lines
                .by_ref()
                .take_while(|line| !line.starts_with("```"))
                .collect();
            blocks.push(Block::Fenced(text.join("\n")));
            goes_on = false;
        } else if line.trim().is_empty() {
            goes_on = false;
        } else if let Some(item) = line.strip_prefix("- ") {
            blocks.push(Block::Item(item.to_owned()));
            goes_on = true;
        } else if let (true, Some(Block::Item(text) | Block::Paragraph(text))) =
            (goes_on, blocks.last_mut())
        {
            text.push(' ');
            text.push_str(line.trim());
        } else {
            blocks.push(Block::Paragraph(line.to_owned()));
            goes_on = true;
        }
    }
    blocks
}

/// Writes running text in lines of at most `width` columns; `leads` are what the first and the others begin with.
fn wrap(text: &str, theme: &Theme, width: usize, leads: (&str, &str), out: &mut String) {
    let label = LABELS.iter().find(|label| text.starts_with(**label));
    let text = label.map_or(text, |label| text[label.len()..].trim_start());
    let mut inline = Inline::default();
    out.push_str(leads.0);
    let mut column = leads.0.len();
    if let Some(label) = label {
        let style = theme.label;
        let _ = write!(out, "{style}{label}{style:#}");
        column += label.len();
    }
    let mut is_first = label.is_none();
    for word in text.split_whitespace() {
        let (word, len) = inline.style(word, theme);
        if !is_first && column + 1 + len > width {
            out.push('\n');
            out.push_str(leads.1);
            column = leads.1.len();
        } else if !is_first {
            out.push(' ');
            column += 1;
        }
        out.push_str(&word);
        column += len;
        is_first = false;
    }
    out.push('\n');
}

/// The marks that the text is inside of.
#[derive(Default)]
struct Inline {
    code: bool,
    strong: bool,
}

impl Inline {
    /// A word without its marks and with styles in their place, and how many columns it takes.
    fn style(&mut self, word: &str, theme: &Theme) -> (String, usize) {
        let mut styled = String::new();
        let mut len = 0;
        for (position, part) in word.split('`').enumerate() {
            self.code ^= position > 0;
            let strongs: Vec<&str> = if self.code {
                vec![part]
            } else {
                part.split("**").collect()
            };
            for (position, part) in strongs.into_iter().enumerate() {
                self.strong ^= position > 0;
                len += part.chars().count();
                let style = match (self.code, self.strong) {
                    (true, _) => theme.state,
                    (false, true) => theme.process,
                    (false, false) => Style::default(),
                };
                let _ = write!(styled, "{style}{part}{style:#}");
            }
        }
        (styled, len)
    }
}

#[cfg(test)]
mod tests;
