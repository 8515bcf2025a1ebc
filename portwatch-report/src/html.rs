//! A report as one page that needs nothing else: no network, no other file.
//!
//! Two things keep what a process calls itself from becoming part of the page. The data is JSON in a block that browsers
//! do not run, with `<` spelt as an escape, so nothing can end the block; and the policy in the page allows exactly the
//! script and the style that are in it, by their hashes.

mod data;

use std::io::{self, Write};

use self::data::Data;
use super::gather::Gather;
use portwatch_core::words::escape::escape;

const PAGE: &str = include_str!("html/page.html");
const STYLE: &str = include_str!("html/style.css");
/// In this order: the last one begins the work.
const SCRIPTS: [&str; 9] = [
    include_str!("html/breaks.js"),
    include_str!("html/data.js"),
    include_str!("html/time.js"),
    include_str!("html/draw.js"),
    include_str!("html/bars.js"),
    include_str!("html/tries.js"),
    include_str!("html/lists.js"),
    include_str!("html/tips.js"),
    include_str!("html/main.js"),
];

/// SHA-256 of the script between its tags, in base64. A constant of constants: a test computes it and says what to write
/// here, so the program needs no hash function.
const SCRIPT_SHA256: &str = "i0AISLumRXQsjgwAh5Rg6ZPfWgXlLFASLZcFhwAkBEM=";
/// SHA-256 of [`STYLE`], in base64.
const STYLE_SHA256: &str = "5Vo6jVjSaLl6KjFv+JyvxZHhAO7O6E2jyVaF2c3K0Po=";

/// Writes the page.
///
/// # Errors
///
/// What `out` fails with.
pub fn write(found: &Gather, out: &mut dyn Write) -> io::Result<()> {
    let script = format!("'use strict';(()=>{{\n{}}})();\n", SCRIPTS.concat());
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{SCRIPT_SHA256}'; style-src 'sha256-{STYLE_SHA256}'; img-src data:; base-uri 'none'; form-action 'none'",
    );
    let data = Data::new(found);
    let mut rest = PAGE;
    while let Some((before, after)) = rest.split_once("{{") {
        out.write_all(before.as_bytes())?;
        let Some((name, after)) = after.split_once("}}") else {
            break;
        };
        match name {
            "policy" => out.write_all(policy.as_bytes())?,
            "style" => out.write_all(STYLE.as_bytes())?,
            "script" => out.write_all(script.as_bytes())?,
            "title" => out.write_all(markup(&data.title()).as_bytes())?,
            "data" => data.write(out)?,
            _ => {}
        }
        rest = after;
    }
    out.write_all(rest.as_bytes())
}

/// `text` as HTML shows it.
fn markup(text: &str) -> String {
    escape(text)
        .to_string()
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests;
