//! The one place where untrusted text is made harmless.
//!
//! Process names, arguments, paths and control group names are chosen by whoever starts a program. Printed raw they can
//! move the cursor, forge lines, or turn the reading direction around.

use crate::prelude::*;
use core::fmt::{self, Write};

/// `text` with every character escaped that a terminal, or a reader's eye, could be deceived with.
///
/// Ordinary Unicode stays as it is, and so does the backslash: unit names are full of `\x2d`, and an ambiguous
/// backslash deceives nobody (the JSON record has the exact bytes).
#[must_use]
pub fn escape(text: &str) -> Escaped<'_> {
    Escaped {
        text,
        limit: usize::MAX,
        quote: false,
    }
}

/// Like [`escape`], in double quotes where the text could be taken for something else beside it: when it is empty or
/// holds white space, quotes or the brackets that process ids stand in.
#[must_use]
pub fn quoted(text: &str) -> Escaped<'_> {
    let ambiguous = text.is_empty()
        || text.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '[' | ']'));
    Escaped {
        text,
        limit: usize::MAX,
        quote: ambiguous,
    }
}

/// See [`escape`] and [`quoted`].
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a> {
    text: &'a str,
    limit: usize,
    quote: bool,
}

impl Escaped<'_> {
    /// At most this many columns of text, the last one `…` if it was longer. Wide characters count as one.
    #[must_use]
    pub const fn cut(mut self, columns: usize) -> Self {
        self.limit = columns;
        self
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.quote {
            f.write_char('"')?;
        }
        let mut left = self.limit;
        let mut rest = self.text.chars();
        while let Some(c) = rest.next() {
            let width = width(c, self.quote);
            // The last character may take the last column; otherwise that column is kept for the mark.
            let last = rest.as_str().is_empty();
            if width > left || (width == left && !last) {
                f.write_char('…')?;
                break;
            }
            left -= width;
            write_char(f, c, self.quote)?;
        }
        if self.quote {
            f.write_char('"')?;
        }
        Ok(())
    }
}

/// True for characters that never reach a terminal as they are: controls (C0, DEL, C1), line separators, everything
/// that changes the reading direction, and characters without a shape of their own.
///
/// The joiners U+200C and U+200D are left alone: ordinary text in several scripts, and most emoji, need them.
#[must_use]
pub const fn is_unsafe(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f'
        | '\x7f'..='\u{9f}'
        | '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

fn write_char(f: &mut fmt::Formatter<'_>, c: char, quote: bool) -> fmt::Result {
    match c {
        '\n' => f.write_str("\\n"),
        '\r' => f.write_str("\\r"),
        '\t' => f.write_str("\\t"),
        '"' if quote => f.write_str("\\\""),
        c if c.is_ascii() && is_unsafe(c) => write!(f, "\\x{:02x}", u32::from(c)),
        c if is_unsafe(c) => write!(f, "\\u{{{:x}}}", u32::from(c)),
        c => f.write_char(c),
    }
}

/// Columns that [`write_char`] takes.
fn width(c: char, quote: bool) -> usize {
    match c {
        '\n' | '\r' | '\t' => 2,
        '"' if quote => 2,
        c if c.is_ascii() && is_unsafe(c) => 4,
        c if is_unsafe(c) => format!("{:x}", u32::from(c)).len() + 4,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("java", "java")]
    #[case("Käse 東京 👩‍💻", "Käse 東京 👩‍💻")]
    #[case(r"dev-disk\x2duuid.mount", r"dev-disk\x2duuid.mount")]
    #[case("a\nb\r\tc\0", r"a\nb\r\tc\x00")]
    #[case("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07")]
    #[case("\u{9b}31m\u{7f}", r"\u{9b}31m\x7f")]
    #[case("a\u{202e}gpj.exe", r"a\u{202e}gpj.exe")]
    #[case(
        "\u{2066}\u{2069}\u{200e}\u{200f}\u{61c}\u{feff}",
        r"\u{2066}\u{2069}\u{200e}\u{200f}\u{61c}\u{feff}"
    )]
    #[case("\u{2028}\u{e0041}", r"\u{2028}\u{e0041}")]
    #[case("\u{fffd}", "\u{fffd}")]
    fn hostile_characters_are_spelt_out(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(escape(text).to_string(), expected);
    }

    #[rstest]
    #[case("node", "node")]
    #[case("", r#""""#)]
    #[case("tmux: server", r#""tmux: server""#)]
    #[case("java[977]", r#""java[977]""#)]
    #[case("a\"b", r#""a\"b""#)]
    #[case("a\nb", r#""a\nb""#)]
    fn names_that_could_be_misread_are_quoted(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(quoted(text).to_string(), expected);
    }

    #[rstest]
    #[case("abcdef", 6, "abcdef")]
    #[case("abcdefg", 6, "abcde…")]
    #[case("abcd\x1bg", 6, "abcd…")]
    #[case("", 6, "")]
    #[case("ab", 1, "…")]
    #[case("ab", 0, "…")]
    fn long_text_is_cut(#[case] text: &str, #[case] columns: usize, #[case] expected: &str) {
        assert_eq!(escape(text).cut(columns).to_string(), expected);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn nothing_unsafe_gets_through(text in any::<String>(), columns in 0_usize..40) {
            let escaped = escape(&text).to_string();
            prop_assert!(!escaped.contains(is_unsafe));
            prop_assert!(!escaped.contains(char::is_control));
            let cut = escape(&text).cut(columns).to_string();
            prop_assert!(cut.chars().count() <= columns.max(1));
            prop_assert!(cut.trim_end_matches('…').len() <= escaped.len());
        }
    }
}
