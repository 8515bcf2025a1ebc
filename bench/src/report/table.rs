//! Tables of text.

use std::iter;

/// How a table looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Columns, two spaces apart.
    Text,
    /// As documents have it.
    Markdown,
}

/// A table with a line of titles. Numbers are at the right of their column.
pub(super) fn table(
    style: Style,
    titles: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
) -> String {
    let titles = titles.iter().map(|title| (*title).to_owned()).collect();
    let rows: Vec<Vec<String>> = iter::once(titles).chain(rows).collect();
    let columns = 0..rows[0].len();
    let widths: Vec<usize> = columns
        .clone()
        .map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0))
        .collect();
    let is_number: Vec<bool> = columns
        .map(|column| {
            let mut cells = rows[1..].iter().map(|row| &row[column]);
            cells.all(|cell| cell.parse::<f64>().is_ok())
        })
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).zip(&is_number);
        let cells: Vec<String> = cells
            .map(|((cell, width), is_number)| {
                if *is_number {
                    format!("{cell:>width$}")
                } else {
                    format!("{cell:width$}")
                }
            })
            .collect();
        match style {
            Style::Text => format!("{}\n", cells.join("  ").trim_end()),
            Style::Markdown => format!("| {} |\n", cells.join(" | ")),
        }
    };
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    if style == Style::Markdown {
        let rule = |is_number: &bool| if *is_number { "---:" } else { "---" };
        let rule: Vec<&str> = is_number.iter().map(rule).collect();
        lines.insert(1, format!("|{}|\n", rule.join("|")));
    }
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_fit_what_is_in_them() {
        let rows = || {
            [["a b", "7"], ["c", "1234567"]]
                .map(|row| row.map(str::to_owned).to_vec())
                .into_iter()
        };
        assert_eq!(
            table(Style::Text, &["what", "ns"], rows()),
            "what       ns\na b         7\nc     1234567\n"
        );
        assert_eq!(
            table(Style::Markdown, &["what", "ns"], rows()),
            "| what |      ns |\n|---|---:|\n| a b  |       7 |\n| c    | 1234567 |\n"
        );
    }
}
