//! Each troubled port as a lane of characters: who had it, and who tried.

use std::io::{self, Write};

use anstyle::Style;

use super::{
    super::{
        gather::{Gap, Gather},
        lane::{End, Hold, Kind, Lane, Place},
        names::Name,
        words,
    },
    Look, counted,
    scale::{Known, Scale},
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
    gap: char,
    edge: char,
    /// The first column of another holder.
    begin: char,
    /// Held, unless it ended unseen.
    doubt: char,
}

impl Symbols {
    /// For terminals that show UTF-8.
    pub const UNICODE: Self = Self {
        holds: ['█', '▓', '▒', '░'],
        free: '·',
        failed: '✗',
        ok: '✓',
        rule: '─',
        gap: '/',
        edge: '┊',
        begin: '▐',
        doubt: '?',
    };
    /// For all others.
    pub const ASCII: Self = Self {
        holds: ['#', '=', '-', ':'],
        free: '.',
        failed: 'x',
        ok: 'o',
        rule: '-',
        gap: '/',
        edge: '|',
        begin: '[',
        doubt: '?',
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
    let scale = Scale::new(found, (first, last), columns);
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
    picture.legend(&lanes[..lanes.len().min(look.top)], out)
}

/// From when on a hold may be over: its end was not seen, nor has it a timer, and records were lost.
fn doubtful(hold: &Hold, gaps: &[&Gap]) -> i64 {
    let unseen = matches!(hold.ended, End::Open | End::Interrupted);
    let within = |gap: &&&Gap| hold.start < gap.from && gap.from < hold.end;
    let gap = gaps.iter().filter(|_| unseen).find(within);
    gap.map_or(hold.end, |gap| gap.from)
}

struct Picture<'a> {
    found: &'a Gather,
    look: &'a Look,
    scale: Scale,
}

impl Picture<'_> {
    /// A rule with the first moment, the last, and those after a pause.
    fn axis(&self, out: &mut dyn Write) -> io::Result<()> {
        let scale = &self.scale;
        let mut cells = vec![self.look.symbols.rule; scale.columns];
        let days = self.look.day(scale.first) != self.look.day(scale.last);
        let words = |time| {
            // Without the year.
            let date = self.look.date(time).split_off(5);
            let short = !days || scale.columns < 3 * date.len();
            format!(" {} ", if short { self.look.time(time) } else { date })
        };
        let width = words(scale.first).len();
        let mut put = |at: usize, text: &str| {
            for (cell, c) in cells[at..].iter_mut().zip(text.chars()) {
                *cell = c;
            }
        };
        put(0, words(scale.first).trim_start());
        put(scale.columns - width + 1, words(scale.last).trim_end());
        let mut free = width;
        for time in scale.resumed() {
            let at = scale.column(time).saturating_sub(2);
            if at >= free && at + 2 * width < scale.columns {
                put(at, &words(time));
                free = at + width;
            }
        }
        let faint = self.look.theme.faint;
        let text: String = cells.into_iter().collect();
        writeln!(out, "{:LABEL$}{faint}{text}{faint:#}", "")
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
            .map_or("no verdict", portwatch_core::model::verdict::Cause::as_str);
        writeln!(
            out,
            "  {} failed, {cause}{main}{cause:#}",
            counted(lane.failures, "attempt", "attempts")
        )?;
        let known = self.scale.known(self.found, place.host);
        self.row("  held", &self.holds(place.host, lane, &known), out)?;
        self.row("  tried", &self.marks(lane, &known), out)
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

    /// Of several holds in a column the one that is hardest to get past, and who it is where there is room for a name.
    fn holds(&self, host: Name, lane: &Lane, known: &[Known]) -> Vec<(char, Style)> {
        let gaps: Vec<_> = self
            .found
            .gaps
            .iter()
            .filter(|gap| gap.host == host)
            .collect();
        let mut holders: Vec<Option<(bool, &Hold)>> = vec![None; self.scale.columns];
        for hold in &lane.holds {
            if self.scale.seen(hold.start, hold.end) {
                let first = self.scale.column(hold.start);
                let sure = self.scale.column(doubtful(hold, &gaps));
                for (column, holder) in
                    (first..).zip(&mut holders[first..=self.scale.column(hold.end)])
                {
                    let doubt = column > sure;
                    if holder
                        .is_none_or(|(other, before)| (doubt, hold.kind) <= (other, before.kind))
                    {
                        *holder = Some((doubt, hold));
                    }
                }
            }
        }
        let symbols = &self.look.symbols;
        let mut cells: Vec<(char, Style)> = holders
            .iter()
            .zip(known)
            .map(|(holder, known)| match (holder, known) {
                (Some((true, hold)), _) => (symbols.doubt, self.style(hold.kind)),
                (Some((false, hold)), _) => {
                    (symbols.holds[hold.kind as usize], self.style(hold.kind))
                }
                (None, Known::Yes) => (symbols.free, self.look.theme.faint),
                (None, known) => self.unknown(*known),
            })
            .collect();
        let mut at = 0;
        while at < holders.len() {
            let same = holders[at..]
                .iter()
                .take_while(|holder| **holder == holders[at])
                .count();
            if let Some((false, hold)) = holders[at]
                && hold.kind <= Kind::Bound
            {
                let beside = at > 0 && same > 1 && cells[at - 1].0 != symbols.free;
                if beside
                    && holders[at - 1].is_some_and(|(_, other)| {
                        other.kind <= Kind::Bound && other.who != hold.who
                    })
                {
                    cells[at].0 = symbols.begin;
                }
                self.name(hold, &mut cells[at..at + same]);
            }
            at += same;
        }
        cells
    }

    /// Writes who it is into the middle of what it holds.
    fn name(&self, hold: &Hold, cells: &mut [(char, Style)]) {
        let name = words::short(self.found, hold.who).unwrap_or_default();
        // Of other characters nobody knows how wide they are.
        if name.is_empty() || !name.is_ascii() || name.len() + 2 > cells.len() {
            return;
        }
        let roomy = name.len() + 4 <= cells.len();
        let name = if roomy { format!(" {name} ") } else { name };
        let start = (cells.len() - name.len()) / 2;
        for (cell, c) in cells[start..].iter_mut().zip(name.chars()) {
            cell.0 = c;
        }
    }

    /// A failure is not hidden by a success beside it.
    fn marks(&self, lane: &Lane, known: &[Known]) -> Vec<(char, Style)> {
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
            .zip(known)
            .map(|((failed, ok), known)| match (failed, ok) {
                (0, 0) => self.unknown(*known),
                (0, _) => (symbols.ok, theme.ok),
                (1, _) => (symbols.failed, theme.bad),
                (many @ 2..=9, _) => (char::from(b'0' + many as u8), theme.bad),
                _ => ('+', theme.bad),
            })
            .collect()
    }

    /// Of an empty column: why nothing is there.
    fn unknown(&self, known: Known) -> (char, Style) {
        let (symbols, theme) = (&self.look.symbols, &self.look.theme);
        match known {
            Known::Gap => (symbols.gap, theme.bad),
            Known::Edge => (symbols.edge, theme.faint),
            Known::Yes | Known::No => (' ', Style::new()),
        }
    }

    fn style(&self, kind: Kind) -> Style {
        let theme = self.look.theme;
        match kind {
            Kind::Listening | Kind::Bound => theme.address,
            Kind::Connection => theme.ok,
            Kind::TimeWait => theme.state,
        }
    }

    /// What the characters mean that are there.
    fn legend(&self, lanes: &[&(Place, Lane)], out: &mut dyn Write) -> io::Result<()> {
        let (theme, symbols) = (self.look.theme, self.look.symbols);
        let mut items: Vec<(String, Style, &str)> = Vec::new();
        for kind in Kind::ALL {
            let is = |(_, lane): &&(Place, Lane)| lane.holds.iter().any(|hold| hold.kind == kind);
            if lanes.iter().any(is) {
                let symbol = symbols.holds[kind as usize].to_string();
                items.push((symbol, self.style(kind), kind.as_str()));
            }
        }
        items.push((symbols.free.to_string(), theme.faint, "nobody seen"));
        items.push((symbols.failed.to_string(), theme.bad, "failed"));
        items.push(("2-9 +".to_owned(), theme.bad, "several failed"));
        items.push((symbols.ok.to_string(), theme.ok, "got it"));
        let mut known = lanes
            .iter()
            .flat_map(|(place, _)| self.scale.known(self.found, place.host));
        let (mut lost, mut edges) = (false, false);
        known.all(|known| {
            lost |= known == Known::Gap;
            edges |= known == Known::Edge;
            !(lost && edges)
        });
        if lost {
            items.push((symbols.gap.to_string(), theme.bad, "records lost"));
        }
        if edges {
            items.push((format!("{0} {0}", symbols.edge), theme.faint, "not traced"));
        }
        if lost {
            items.push((symbols.doubt.to_string(), theme.address, "may be over"));
        }
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
