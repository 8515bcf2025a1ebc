//! The texts in a file: a page is one, and of a source its comments and string literals are some each.

use std::ops::Range;

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Passage {
    /// The line that it begins in, from 1.
    pub(super) line: usize,
    /// As it is written, but without what makes it a comment or continues a literal in another line.
    pub(super) text: String,
}

pub(super) fn of_text(text: &str) -> Passage {
    Passage {
        line: 1,
        text: text.to_owned(),
    }
}

/// What a source has to read.
#[derive(Default)]
pub(super) struct Source {
    /// Comments, those of documentation too, and string literals. Lines of one comment are one passage.
    pub(super) passages: Vec<Passage>,
    /// Modules that are written within their parent's file, with their lines.
    pub(super) inline_modules: Vec<(usize, String)>,
}

pub(super) fn of_source(source: &str) -> Result<Source> {
    let stream: TokenStream = source.parse().map_err(|error| anyhow!("{error}"))?;
    let mut inline_modules = Vec::new();
    add_modules(stream.clone(), &mut inline_modules);
    Ok(Source {
        passages: passages(source, stream),
        inline_modules,
    })
}

fn passages(source: &str, stream: TokenStream) -> Vec<Passage> {
    let mut tokens = Vec::new();
    flatten(stream, &mut tokens);
    let mut found = Vec::new();
    let mut end = 0;
    let whole = source.len()..source.len();
    for range in tokens.into_iter().chain([whole]) {
        // A doc comment becomes several tokens, all of them with its place.
        if range.start < end {
            continue;
        }
        comments(source, end..range.start, &mut found);
        end = range.end;
        let text = &source[range.clone()];
        if is_comment(text) {
            comments(source, range, &mut found);
        } else if is_string(text) {
            // The backslash that continues a literal in the next line is not part of its text.
            let text = text.replace("\\\n", " \n");
            let line = line_at(source, range.start);
            found.push((false, Passage { line, text }));
        }
    }
    found.into_iter().map(|(_, passage)| passage).collect()
}

fn add_modules(stream: TokenStream, found: &mut Vec<(usize, String)>) {
    let tokens: Vec<_> = stream.into_iter().collect();
    for window in tokens.windows(3) {
        if let [
            TokenTree::Ident(word),
            TokenTree::Ident(name),
            TokenTree::Group(group),
        ] = window
            && word == "mod"
            && group.delimiter() == Delimiter::Brace
        {
            found.push((name.span().start().line, name.to_string()));
        }
    }
    for token in tokens {
        if let TokenTree::Group(group) = token {
            add_modules(group.stream(), found);
        }
    }
}

/// Places of the tokens that have no others in them, in order.
fn flatten(stream: TokenStream, ranges: &mut Vec<Range<usize>>) {
    for token in stream {
        match token {
            TokenTree::Group(group) => {
                ranges.push(group.span_open().byte_range());
                flatten(group.stream(), ranges);
                ranges.push(group.span_close().byte_range());
            }
            token => ranges.push(token.span().byte_range()),
        }
    }
}

fn is_comment(token: &str) -> bool {
    token.starts_with("//") || token.starts_with("/*")
}

fn is_string(token: &str) -> bool {
    let quoted = token.trim_start_matches(['b', 'c', 'r', '#']);
    quoted.starts_with('"')
}

/// Adds the comments in a range that has nothing else in it but white space. A line that follows another one belongs to it.
fn comments(source: &str, range: Range<usize>, found: &mut Vec<(bool, Passage)>) {
    if source[range.clone()].trim().is_empty() {
        return;
    }
    let first = line_at(source, range.start);
    for (index, line) in source[range].lines().enumerate() {
        let text = line.trim();
        if text.is_empty() {
            continue;
        }
        let line = first + index;
        let text = text.trim_start_matches(['/', '*', '!']);
        if let Some((true, last)) = found.last_mut()
            && last.line + last.text.lines().count() == line
        {
            last.text.push('\n');
            last.text.push_str(text);
        } else {
            // An empty line counts as one.
            let text = if text.is_empty() { " " } else { text };
            found.push((
                true,
                Passage {
                    line,
                    text: text.to_owned(),
                },
            ));
        }
    }
}

fn line_at(source: &str, offset: usize) -> usize {
    1 + source[..offset].matches('\n').count()
}
