//! A report as Markdown, for an issue or a wiki.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use super::summary::{EpisodeRow, NameRow, Summary};
use portwatch_core::words::{escape::escape, span::span};

/// Writes the report.
///
/// # Errors
///
/// What `out` fails with.
pub fn write(summary: &Summary, top: usize, out: &mut dyn Write) -> io::Result<()> {
    totals(summary, out)?;
    episodes(summary, top, out)
}

fn totals(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    let hosts: Vec<_> = summary.hosts.iter().map(|host| cell(host)).collect();
    writeln!(
        out,
        "# Ports: {}\n",
        if hosts.is_empty() {
            "no host".to_owned()
        } else {
            hosts.join(", ")
        }
    )?;
    if let (Some(from), Some(to)) = (&summary.from, &summary.to) {
        writeln!(out, "{from} to {to}, {} records.", summary.records)?;
    }
    writeln!(
        out,
        "{} of {} attempts failed.",
        summary.failures, summary.attempts
    )?;
    table(
        out,
        "By cause",
        &["Cause", "Failures"],
        summary.by_cause.iter().map(|row| {
            vec![
                code(row.cause.unwrap_or("no verdict")),
                row.failures.to_string(),
            ]
        }),
    )?;
    table(
        out,
        "By port",
        &["Port", "Failures", "Attempts", "Mostly"],
        summary.by_port.iter().map(|row| {
            vec![
                cell(&row.words),
                row.failures.to_string(),
                row.attempts.to_string(),
                code(row.cause.unwrap_or("no verdict")),
            ]
        }),
    )?;
    for (title, rows) in [
        ("By program", &summary.by_program),
        ("By unit", &summary.by_unit),
        ("By container", &summary.by_container),
    ] {
        table(
            out,
            title,
            &["Name", "Failures", "Attempts"],
            rows.iter().map(name),
        )?;
    }
    table(
        out,
        "Worst blockers",
        &["Who", "Failures", "Blocked others for", "Ports"],
        summary.worst_blockers.iter().map(|row| {
            let ports: Vec<_> = row.ports.iter().map(u16::to_string).collect();
            vec![
                cell(&row.words),
                row.failures.to_string(),
                ms(row.blocked_ms),
                ports.join(", "),
            ]
        }),
    )
}

fn episodes(summary: &Summary, top: usize, out: &mut dyn Write) -> io::Result<()> {
    let columns = [
        "Who",
        "Where",
        "Blocked",
        "Attempts",
        "Since",
        "Blocked by",
        "End",
    ];
    table(
        out,
        "Longest blocked",
        &columns,
        summary.longest_blocked.iter().map(episode),
    )?;
    table(
        out,
        "Most retried",
        &columns,
        summary.most_retried.iter().map(episode),
    )?;
    let shown = summary.episodes.len().min(top.saturating_mul(2));
    table(
        out,
        "Episodes",
        &columns,
        summary.episodes[..shown].iter().map(episode),
    )?;
    let more = summary.episode_count - shown as u64;
    if more > 0 {
        writeln!(out, "\nAnd {more} more.")?;
    }
    table(
        out,
        "Missing",
        &["What", "How many", "Not before", "Not after"],
        summary.lost.iter().map(|row| {
            vec![
                cell(&row.kind),
                row.count.to_string(),
                cell(&row.from),
                cell(&row.to),
            ]
        }),
    )
}

fn table(
    out: &mut dyn Write,
    title: &str,
    columns: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
) -> io::Result<()> {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    writeln!(out, "\n## {title}\n\n| {} |", columns.join(" | "))?;
    writeln!(out, "|{}", "---|".repeat(columns.len()))?;
    for row in rows {
        writeln!(out, "| {} |", row.join(" | "))?;
    }
    Ok(())
}

fn name(row: &NameRow) -> Vec<String> {
    vec![
        row.name
            .as_ref()
            .map_or_else(|| "all others".to_owned(), |name| cell(name)),
        row.failures.to_string(),
        row.attempts.to_string(),
    ]
}

fn episode(row: &EpisodeRow) -> Vec<String> {
    let by: Vec<_> = row
        .words
        .by
        .iter()
        .take(8)
        .map(|(who, time)| format!("{} {}", cell(who), ms(*time)))
        .collect();
    let outcome = match row.outcome {
        Some("bound") => "got it",
        Some("gave_up") => "gave up",
        _ => "not over",
    };
    vec![
        cell(&row.words.who),
        cell(&row.words.place),
        ms(row.blocked_ms),
        row.attempts.to_string(),
        row.first.clone(),
        by.join(", "),
        outcome.to_owned(),
    ]
}

fn ms(ms: u64) -> String {
    span(ms.saturating_mul(1_000_000))
}

fn code(id: &str) -> String {
    format!("`{id}`")
}

/// Text that Markdown and HTML leave as it is.
fn cell(text: &str) -> String {
    let mut cell = String::new();
    for c in escape(text).to_string().chars() {
        match c {
            '&' => cell.push_str("&amp;"),
            '<' => cell.push_str("&lt;"),
            '>' => cell.push_str("&gt;"),
            // A link or a name that a forge would notify is made of these.
            '@' | ':' | '#' => {
                let _ = write!(cell, "&#{};", u32::from(c));
            }
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '|' | '~' | '!' | '(' | ')' => {
                cell.push('\\');
                cell.push(c);
            }
            c => cell.push(c),
        }
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_markup() {
        assert_eq!(cell("<b>a|b</b>"), r"&lt;b&gt;a\|b&lt;/b&gt;");
        assert_eq!(cell("[x](y) `z`\n@me"), r"\[x\]\(y\) \`z\`\\n&#64;me");
    }
}
