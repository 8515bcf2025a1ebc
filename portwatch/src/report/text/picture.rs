//! Each troubled port as a lane of characters: who had it, and who tried.

use std::io::{self, Write};

use anstyle::Style;

use super::{
    super::{
        gather::Gather,
        lane::{Kind, Lane, Place},
        words,
    },
    Look, counted,
};

/// Columns of the labels before a lane.
const LABEL: usize = 9;
/// Columns of a lane at least.
const NARROW: usize = 20;

/// Characters that lanes are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbols {
    /// In the order of [`Kind::ALL`].
    holds: [char; 4],
    free: char,
    failed: char,
    ok: char,
    rule: char,
}

impl Symbols {
    /// For terminals that show UTF-8.
    pub const UNICODE: Self = Self {
        holds: ['█', '▓', '▒', '░'],
        free: '·',
        failed: '✗',
        ok: '✓',
        rule: '─',
    };
    /// For all others.
    pub const ASCII: Self = Self {
        holds: ['#', '=', '-', ':'],
        free: ' ',
        failed: 'x',
        ok: 'o',
        rule: '-',
    };
}

/// Writes the lanes of ports with failures, and what their characters mean.
pub(super) fn write(found: &Gather, look: &Look, out: &mut dyn Write) -> io::Result<()> {
    let troubled = found.lanes.iter().filter(|(_, lane)| lane.failures > 0);
    let lanes: Vec<_> = troubled.collect();
    let Some((first, last)) = found.span.filter(|_| !lanes.is_empty()) else {
        return Ok(());
    };
    let columns = look.width.saturating_sub(LABEL).max(NARROW);
    let scale = Scale {
        first,
        last: last.max(first + 1),
        columns,
    };
    let picture = Picture { found, look, scale };
    let label = look.theme.label;
    writeln!(out, "\n{label}Timelines{label:#}")?;
    picture.axis(out)?;
    for (place, lane) in lanes.iter().take(look.top) {
        picture.lane(place, lane, out)?;
    }
    if lanes.len() > look.top {
        let faint = look.theme.faint;
        let more = (lanes.len() - look.top) as u64;
        writeln!(
            out,
            "{faint}and {} more{faint:#}",
            counted(more, "port", "ports")
        )?;
    }
    picture.legend(out)
}

struct Scale {
    first: i64,
    last: i64,
    columns: usize,
}

impl Scale {
    /// The column of a moment.
    fn column(&self, time: i64) -> usize {
        let whole = i128::from(self.last) - i128::from(self.first);
        let part = (i128::from(time) - i128::from(self.first)).clamp(0, whole - 1);
        usize::try_from(part * self.columns as i128 / whole).unwrap_or(0)
    }

    fn seen(&self, from: i64, to: i64) -> bool {
        to >= self.first && from <= self.last
    }
}

struct Picture<'a> {
    found: &'a Gather,
    look: &'a Look,
    scale: Scale,
}

impl Picture<'_> {
    fn axis(&self, out: &mut dyn Write) -> io::Result<()> {
        let faint = self.look.theme.faint;
        let (from, to) = (
            self.look.time(self.scale.first),
            self.look.time(self.scale.last),
        );
        let rule = self.scale.columns.saturating_sub(from.len() + to.len() + 2);
        let rule = self.look.symbols.rule.to_string().repeat(rule);
        writeln!(out, "{:LABEL$}{faint}{from} {rule} {to}{faint:#}", "")
    }

    fn lane(&self, place: &Place, lane: &Lane, out: &mut dyn Write) -> io::Result<()> {
        let theme = self.look.theme;
        let (faint, address, cause) = (theme.faint, theme.address, theme.cause);
        let name = words::place(self.found, place);
        write!(out, "{address}{name}{address:#}")?;
        if self.found.several_namespaces() && place.netns != 0 {
            write!(out, " {faint}netns {}{faint:#}", place.netns)?;
        }
        let main = lane
            .main_cause()
            .map_or("no verdict", crate::model::verdict::Cause::as_str);
        writeln!(
            out,
            "  {} failed, {cause}{main}{cause:#}",
            counted(lane.failures, "attempt", "attempts")
        )?;
        self.row("  held", &self.holds(lane), out)?;
        self.row("  tried", &self.marks(lane), out)
    }

    fn row(&self, label: &str, cells: &[(char, Style)], out: &mut dyn Write) -> io::Result<()> {
        let faint = self.look.theme.faint;
        write!(out, "{faint}{label:LABEL$}{faint:#}")?;
        // What is empty at the end needs no characters.
        let end = cells
            .iter()
            .rposition(|(c, _)| *c != ' ')
            .map_or(0, |last| last + 1);
        let mut rest = &cells[..end];
        while let Some((_, style)) = rest.first() {
            let same = rest.iter().take_while(|(_, other)| other == style).count();
            let text: String = rest[..same].iter().map(|(c, _)| *c).collect();
            write!(out, "{style}{text}{style:#}")?;
            rest = &rest[same..];
        }
        writeln!(out)
    }

    /// Of several holds in a column the one that is hardest to get past.
    fn holds(&self, lane: &Lane) -> Vec<(char, Style)> {
        let mut kinds: Vec<Option<Kind>> = vec![None; self.scale.columns];
        for hold in &lane.holds {
            if self.scale.seen(hold.start, hold.end) {
                let range = self.scale.column(hold.start)..=self.scale.column(hold.end);
                for kind in &mut kinds[range] {
                    *kind = Some(kind.map_or(hold.kind, |other| other.min(hold.kind)));
                }
            }
        }
        let symbols = &self.look.symbols;
        kinds
            .into_iter()
            .map(|kind| match kind {
                Some(kind) => (symbols.holds[kind as usize], self.style(kind)),
                None => (symbols.free, self.look.theme.faint),
            })
            .collect()
    }

    /// A failure is not hidden by a success beside it.
    fn marks(&self, lane: &Lane) -> Vec<(char, Style)> {
        let mut columns = vec![(0_u64, 0_u64); self.scale.columns];
        for mark in &lane.marks {
            if self.scale.seen(mark.time, mark.time) {
                let (failed, ok) = &mut columns[self.scale.column(mark.time)];
                *(if mark.failed { failed } else { ok }) += u64::from(mark.count);
            }
        }
        let (theme, symbols) = (&self.look.theme, &self.look.symbols);
        columns
            .into_iter()
            .map(|(failed, ok)| match (failed, ok) {
                (0, 0) => (' ', Style::new()),
                (0, _) => (symbols.ok, theme.ok),
                (1, _) => (symbols.failed, theme.bad),
                (many @ 2..=9, _) => (char::from(b'0' + many as u8), theme.bad),
                _ => ('+', theme.bad),
            })
            .collect()
    }

    fn style(&self, kind: Kind) -> Style {
        let theme = self.look.theme;
        match kind {
            Kind::Listening | Kind::Bound => theme.address,
            Kind::Connection => theme.ok,
            Kind::TimeWait => theme.state,
        }
    }

    fn legend(&self, out: &mut dyn Write) -> io::Result<()> {
        let (theme, symbols) = (self.look.theme, self.look.symbols);
        let mut items: Vec<(String, Style, &str)> = Kind::ALL
            .iter()
            .map(|kind| {
                let symbol = symbols.holds[*kind as usize].to_string();
                (symbol, self.style(*kind), kind.as_str())
            })
            .collect();
        items.push((symbols.failed.to_string(), theme.bad, "failed"));
        items.push(("2-9 +".to_owned(), theme.bad, "several failed"));
        items.push((symbols.ok.to_string(), theme.ok, "got it"));
        let mut used = 0;
        for (symbol, style, word) in items {
            let width = symbol.chars().count() + word.len() + 3;
            if used > 0 {
                if used + width > self.look.width {
                    writeln!(out)?;
                    used = 0;
                } else {
                    write!(out, "  ")?;
                }
            }
            write!(out, "{style}{symbol}{style:#} {word}")?;
            used += width;
        }
        writeln!(out)
    }
}
