//! Arguments, taken apart as the programs themselves do it.

use crate::prelude::*;

/// Options that take a value, in the two ways to spell one.
pub(super) struct Syntax {
    /// Letters of short options whose value is attached or the next argument.
    pub(super) letters: &'static str,
    /// Long options, without dashes, whose value is the next argument unless `=` joins it.
    pub(super) long: &'static [&'static str],
}

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Argument<'a> {
    /// An option, without dashes, and its value if it takes one.
    Option(&'a str, &'a str),
    /// Anything else.
    Operand(&'a str),
}

/// Takes arguments apart, as `getopt_long()` and its relatives do; the name of the program is not among them.
pub(super) fn parse<'a>(args: &'a [String], syntax: &Syntax) -> Vec<Argument<'a>> {
    let mut found = Vec::new();
    let mut args = args.iter().map(String::as_str);
    while let Some(arg) = args.next() {
        if arg == "--" {
            found.extend(args.by_ref().map(Argument::Operand));
        } else if let Some(long) = arg.strip_prefix("--") {
            found.push(match long.split_once('=') {
                Some((name, value)) => Argument::Option(name, value),
                None if syntax.long.contains(&long) => {
                    Argument::Option(long, args.next().unwrap_or_default())
                }
                None => Argument::Option(long, ""),
            });
        } else if let Some(group) = arg.strip_prefix('-').filter(|group| !group.is_empty()) {
            short(group, &mut args, syntax, &mut found);
        } else {
            found.push(Argument::Operand(arg));
        }
    }
    found
}

/// A group of short options: `-fNL 8080:db:80`.
fn short<'a>(
    group: &'a str,
    args: &mut impl Iterator<Item = &'a str>,
    syntax: &Syntax,
    found: &mut Vec<Argument<'a>>,
) {
    for (position, letter) in group.char_indices() {
        let end = position + letter.len_utf8();
        let (name, rest) = (&group[position..end], &group[end..]);
        if syntax.letters.contains(letter) {
            let value = if rest.is_empty() {
                args.next().unwrap_or_default()
            } else {
                rest
            };
            found.push(Argument::Option(name, value));
            return;
        }
        found.push(Argument::Option(name, ""));
    }
}

/// The value of an option in the style of Go's `flag`: one dash or two, and always a value. The last one counts.
pub(super) fn flag<'a>(args: &'a [String], name: &str) -> Option<&'a str> {
    let undashed = |arg: &'a str| {
        arg.strip_prefix("--")
            .or_else(|| arg.strip_prefix('-'))
            .and_then(|arg| arg.strip_prefix(name))
    };
    let mut values =
        args.iter()
            .enumerate()
            .rev()
            .filter_map(|(position, arg)| match undashed(arg)? {
                "" => args.get(position + 1).map(String::as_str),
                rest => rest.strip_prefix('='),
            });
    values.next()
}

/// Splits at colons, but not within the brackets of an IPv6 address.
pub(super) fn fields(text: &str) -> Vec<&str> {
    let mut bracketed = false;
    text.split(|c| {
        match c {
            '[' => bracketed = true,
            ']' => bracketed = false,
            _ => {}
        }
        c == ':' && !bracketed
    })
    .collect()
}
