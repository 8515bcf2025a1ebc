//! Which column a moment is in, and what is known of it.

use super::super::{gather::Gather, names::Name};

/// Columns of a long time in which nothing was traced.
const PAUSE: usize = 3;

/// What is known of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It was traced.
    Yes,
    /// Records were lost.
    Gap,
    /// Tracing began or ended.
    Edge,
    /// Nothing was traced.
    No,
}

/// A long time in which nothing was traced: drawn as short as `drawn`.
#[derive(Clone, Copy, Debug)]
struct Pause {
    from: i64,
    to: i64,
    drawn: i64,
}

/// Moments and columns.
pub(super) struct Scale {
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) columns: usize,
    pauses: Vec<Pause>,
}

impl Scale {
    pub(super) fn new(found: &Gather, (first, last): (i64, i64), columns: usize) -> Self {
        let mut runs: Vec<(i64, i64)> = found
            .sessions
            .iter()
            .map(|run| (run.start.max(first), run.end.min(last)))
            .filter(|(start, end)| start <= end)
            .collect();
        runs.sort_unstable();
        let mut free: Vec<(i64, i64)> = Vec::new();
        let mut end = runs.first().map_or(last, |run| run.0);
        for (from, to) in &runs {
            if *from > end {
                free.push((end, *from));
            }
            end = end.max(*to);
        }
        let untraced: i64 = free.iter().map(|(from, to)| to - from).sum();
        let drawn = (last - first - untraced) * PAUSE as i64 / columns as i64;
        let pauses = free
            .into_iter()
            .filter(|(from, to)| to - from > drawn)
            .map(|(from, to)| Pause { from, to, drawn })
            .collect();
        Self {
            first,
            last: last.max(first + 1),
            columns,
            pauses,
        }
    }

    /// The column of a moment.
    pub(super) fn column(&self, time: i64) -> usize {
        let whole = i128::from(self.drawn(self.last));
        let part = i128::from(self.drawn(time)).clamp(0, whole - 1);
        usize::try_from(part * self.columns as i128 / whole.max(1)).unwrap_or(0)
    }

    /// Since the first moment, without what pauses are drawn shorter.
    fn drawn(&self, time: i64) -> i64 {
        let saved: i64 = self
            .pauses
            .iter()
            .map(|pause| {
                let (length, past) = (pause.to - pause.from, time - pause.from);
                let saved = i128::from(length - pause.drawn) * i128::from(past.clamp(0, length));
                i64::try_from(saved / i128::from(length.max(1))).unwrap_or(0)
            })
            .sum();
        time - self.first - saved
    }

    pub(super) fn seen(&self, from: i64, to: i64) -> bool {
        to >= self.first && from <= self.last
    }

    /// When tracing went on after the pauses.
    pub(super) fn resumed(&self) -> impl Iterator<Item = i64> {
        self.pauses.iter().map(|pause| pause.to)
    }

    /// What is known of a host in each column.
    pub(super) fn known(&self, found: &Gather, host: Name) -> Vec<Known> {
        let runs: Vec<_> = found
            .sessions
            .iter()
            .filter(|run| run.host == host)
            .collect();
        let mut known = vec![
            if runs.is_empty() {
                Known::Yes
            } else {
                Known::No
            };
            self.columns
        ];
        for run in &runs {
            if self.seen(run.start, run.end) {
                known[self.column(run.start)..=self.column(run.end)].fill(Known::Yes);
            }
        }
        for gap in found.gaps.iter().filter(|gap| gap.host == host) {
            if self.seen(gap.from, gap.to) {
                known[self.column(gap.from)..=self.column(gap.to)].fill(Known::Gap);
            }
        }
        // Between two runs there is always a column that says so.
        let starts = runs
            .iter()
            .map(|run| run.start)
            .filter(|start| *start > self.first);
        let ends = runs
            .iter()
            .map(|run| run.end)
            .filter(|end| *end < self.last);
        for time in starts.chain(ends) {
            if self.seen(time, time) {
                known[self.column(time)] = Known::Edge;
            }
        }
        known
    }
}
