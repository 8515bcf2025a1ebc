//! A report on a terminal: tables, episodes in order, and a picture of each troubled port.

mod picture;
mod scale;

use std::io::{self, Write};

use jiff::{Timestamp, tz::TimeZone};

pub use self::picture::Symbols;
use super::{
    gather::Gather,
    summary::{EpisodeRow, NameRow, Summary},
};
use portwatch_core::words::{
    escape::{escape, quoted},
    span::span,
};
use portwatch_log::theme::Theme;

/// How a report is drawn.
#[derive(Clone, Debug)]
pub struct Look {
    /// Colours.
    pub theme: Theme,
    /// Times are of this zone.
    pub zone: TimeZone,
    /// Columns.
    pub width: usize,
    /// Characters of the picture.
    pub symbols: Symbols,
    /// Rows of a table.
    pub top: usize,
}

/// Writes the report.
///
/// # Errors
///
/// What `out` fails with.
pub fn write(
    found: &Gather,
    summary: &Summary,
    look: &Look,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut page = Page { look, out };
    page.head(found, summary)?;
    page.tables(summary)?;
    page.episodes(summary)?;
    picture::write(found, look, page.out)?;
    page.notes(found, summary)
}

struct Page<'a> {
    look: &'a Look,
    out: &'a mut dyn Write,
}

impl Page<'_> {
    fn head(&mut self, found: &Gather, summary: &Summary) -> io::Result<()> {
        let Theme { faint, bad, .. } = self.look.theme;
        let hosts: Vec<_> = summary
            .hosts
            .iter()
            .map(|host| quoted(host).to_string())
            .collect();
        let hosts = if hosts.is_empty() {
            "an unknown host".to_owned()
        } else {
            hosts.join(", ")
        };
        match found.span {
            Some((first, last)) => writeln!(
                self.out,
                "{faint}-- {hosts}, {} to {}, {} --{faint:#}",
                self.look.date(first),
                if self.look.day(first) == self.look.day(last) {
                    self.look.time(last)
                } else {
                    self.look.date(last)
                },
                counted(summary.records, "record", "records"),
            )?,
            None => writeln!(self.out, "{faint}-- {hosts}, no records --{faint:#}")?,
        }
        let ports = found
            .lanes
            .iter()
            .filter(|(_, lane)| lane.failures > 0)
            .count();
        if summary.failures == 0 {
            return writeln!(
                self.out,
                "No attempt failed ({}).",
                counted(summary.attempts, "attempt", "attempts")
            );
        }
        writeln!(
            self.out,
            "{bad}{}{bad:#} of {} failed, on {}.",
            summary.failures,
            counted(summary.attempts, "attempt", "attempts"),
            counted(ports as u64, "port", "ports"),
        )
    }

    fn tables(&mut self, summary: &Summary) -> io::Result<()> {
        let Theme {
            cause: style,
            faint,
            address,
            ..
        } = self.look.theme;
        if !summary.by_cause.is_empty() {
            self.title("By cause")?;
        }
        for row in &summary.by_cause {
            let cause = row.cause.unwrap_or("no verdict");
            writeln!(self.out, "  {:>8}  {style}{cause}{style:#}", row.failures)?;
        }
        if !summary.by_port.is_empty() {
            self.title("By port")?;
        }
        let width = summary
            .by_port
            .iter()
            .map(|row| row.words.chars().count())
            .max();
        for row in &summary.by_port {
            let pad = width.unwrap_or(0).saturating_sub(row.words.chars().count());
            writeln!(
                self.out,
                "  {:>8}  {address}{}{address:#}{:pad$}  {style}{}{style:#}{faint}, of {}{faint:#}",
                row.failures,
                row.words,
                "",
                row.cause.unwrap_or("no verdict"),
                counted(row.attempts, "attempt", "attempts"),
            )?;
        }
        self.names("By program", &summary.by_program)?;
        self.names("By unit", &summary.by_unit)?;
        self.names("By container", &summary.by_container)?;
        if !summary.worst_blockers.is_empty() {
            self.title("Worst blockers")?;
        }
        for row in &summary.worst_blockers {
            let process = self.look.theme.process;
            let ports: Vec<_> = row.ports.iter().map(u16::to_string).collect();
            write!(
                self.out,
                "  {:>8}  {process}{}{process:#}",
                row.failures, row.words
            )?;
            if row.blocked_ms > 0 {
                write!(
                    self.out,
                    ", blocked others for {}",
                    span(row.blocked_ms.saturating_mul(1_000_000))
                )?;
            }
            if !ports.is_empty() {
                let noun = if ports.len() == 1 { "port" } else { "ports" };
                write!(self.out, "{faint}, {noun} {}{faint:#}", ports.join(", "))?;
            }
            writeln!(self.out)?;
        }
        Ok(())
    }

    fn names(&mut self, title: &str, rows: &[NameRow]) -> io::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        self.title(title)?;
        let process = self.look.theme.process;
        for row in rows {
            let name = row.name.as_ref().map_or_else(
                || "all others".to_owned(),
                |name| quoted(name).cut(60).to_string(),
            );
            writeln!(
                self.out,
                "  {:>8}  {process}{name}{process:#}",
                row.failures
            )?;
        }
        Ok(())
    }

    fn episodes(&mut self, summary: &Summary) -> io::Result<()> {
        let lists = [
            ("Longest blocked", &summary.longest_blocked[..]),
            ("Most retried", &summary.most_retried[..]),
        ];
        for (title, rows) in lists {
            // A list of one says what the list of all says.
            if summary.episodes.len() > 1 && !rows.is_empty() {
                self.title(title)?;
                for row in rows.iter().take(self.look.top.min(5)) {
                    self.episode(row, false)?;
                }
            }
        }
        if summary.episodes.is_empty() {
            return Ok(());
        }
        self.title("Episodes")?;
        let shown = summary.episodes.len().min(self.look.top.saturating_mul(2));
        for row in &summary.episodes[..shown] {
            self.episode(row, true)?;
        }
        let more = summary.episode_count - shown as u64;
        if more > 0 {
            let faint = self.look.theme.faint;
            writeln!(
                self.out,
                "  {faint}and {more} more: --top shows them{faint:#}"
            )?;
        }
        Ok(())
    }

    fn episode(&mut self, row: &EpisodeRow, in_order: bool) -> io::Result<()> {
        let Theme {
            faint,
            process,
            address,
            ok,
            bad,
            ..
        } = self.look.theme;
        let words = &row.words;
        let blocked = span(row.blocked_ms.saturating_mul(1_000_000));
        if in_order {
            write!(
                self.out,
                "  {faint}{}{faint:#}  ",
                self.look.time(words.first)
            )?;
        } else {
            write!(self.out, "  {blocked:>8}  ")?;
        }
        write!(
            self.out,
            "{process}{}{process:#}  {address}{}{address:#}  {}",
            words.who,
            words.place,
            counted(row.attempts, "attempt", "attempts"),
        )?;
        if in_order {
            write!(self.out, " in {blocked}")?;
        }
        match row.outcome {
            Some("bound") => writeln!(self.out, ", {ok}then it got it{ok:#}")?,
            Some("gave_up") => writeln!(self.out, ", {bad}it gave up{bad:#}")?,
            Some("open") => writeln!(self.out, ", not over when tracing ended")?,
            _ => writeln!(self.out, ", its end is not in the log")?,
        }
        if in_order {
            for (who, ms) in words.by.iter().take(8) {
                writeln!(
                    self.out,
                    "            {faint}{:>8}{faint:#}  {who}",
                    span(ms.saturating_mul(1_000_000))
                )?;
            }
        }
        Ok(())
    }

    fn notes(&mut self, found: &Gather, summary: &Summary) -> io::Result<()> {
        let Theme { bad, faint, .. } = self.look.theme;
        if !summary.lost.is_empty() {
            self.title("Missing")?;
        }
        for row in summary.lost.iter().take(self.look.top) {
            let kind = quoted(&row.kind);
            writeln!(
                self.out,
                "  {bad}{:>8}{bad:#}  {kind} {}, between {} and {}",
                row.count,
                if row.count == 1 { "record" } else { "records" },
                escape(&row.from),
                escape(&row.to)
            )?;
        }
        if summary.not_kept > 0 {
            writeln!(
                self.out,
                "{faint}There was no room for {} names, ports or sockets: the smallest rows may be missing.{faint:#}",
                summary.not_kept
            )?;
        }
        if found.grain() > 0 {
            writeln!(
                self.out,
                "{faint}Timelines: what lies within {} of each other is drawn as one.{faint:#}",
                span(found.grain() as u64)
            )?;
        }
        Ok(())
    }

    fn title(&mut self, title: &str) -> io::Result<()> {
        let label = self.look.theme.label;
        writeln!(self.out, "\n{label}{title}{label:#}")
    }
}

impl Look {
    fn zoned(&self, ns: i64) -> Option<jiff::Zoned> {
        let time = Timestamp::from_nanosecond(i128::from(ns)).ok()?;
        Some(time.to_zoned(self.zone.clone()))
    }

    fn day(&self, ns: i64) -> Option<jiff::civil::Date> {
        self.zoned(ns).map(|time| time.date())
    }

    fn date(&self, ns: i64) -> String {
        self.zoned(ns).map_or_else(String::new, |time| {
            time.strftime("%Y-%m-%d %H:%M:%S").to_string()
        })
    }

    fn time(&self, ns: i64) -> String {
        self.zoned(ns)
            .map_or_else(String::new, |time| time.strftime("%H:%M:%S").to_string())
    }
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests;
