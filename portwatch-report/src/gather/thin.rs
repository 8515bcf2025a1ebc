//! Keeps timelines to a number of items that can be drawn, and held in memory.
//!
//! Where there are too many, those of a lane that are closer together than a *grain* of time are joined to one that says
//! how many it stands for. The grain doubles until all fit: nothing is left out but details.

use super::Gather;

/// Items of all timelines together.
pub const ITEMS: usize = 150_000;
/// The first grain, in nanoseconds: a power of two, some milliseconds.
const GRAIN: i64 = 1 << 22;
/// A grain of this part of the whole time cannot be seen in a picture: from there on different processes are joined, too.
const FINE: i64 = 4096;

#[derive(Debug, Default)]
pub(super) struct Thin {
    items: usize,
    grain: i64,
}

impl Gather {
    /// How close together things were joined, in nanoseconds; 0 if they were not.
    #[must_use]
    pub fn grain(&self) -> i64 {
        self.thin.grain
    }

    /// An item was added.
    pub(super) fn added(&mut self) {
        self.thin.items += 1;
        if self.thin.items > 2 * ITEMS {
            self.fit();
        }
    }

    /// Joins until everything fits.
    pub(super) fn fit(&mut self) {
        self.thin.items = self.lanes.iter().map(|(_, lane)| lane.items()).sum();
        let (first, last) = self.span.unwrap_or_default();
        let whole = last.saturating_sub(first).max(1);
        while self.thin.items > ITEMS && self.thin.grain <= whole {
            self.thin.grain = (self.thin.grain * 2).max(GRAIN);
            let rough = self.thin.grain > whole / FINE;
            for (_, lane) in &mut self.lanes {
                lane.join(self.thin.grain.ilog2(), rough);
            }
            self.thin.items = self.lanes.iter().map(|(_, lane)| lane.items()).sum();
        }
        if self.thin.items > ITEMS {
            self.clear_quiet();
        }
    }

    /// More ports than can be drawn: those without failures go first, then those with the fewest.
    fn clear_quiet(&mut self) {
        let mut order: Vec<usize> = (0..self.lanes.len()).collect();
        order.sort_by_key(|&index| self.lanes[index].1.failures);
        for index in order {
            if self.thin.items <= ITEMS {
                break;
            }
            let lane = &mut self.lanes[index].1;
            self.thin.items -= lane.items();
            lane.thinned |= lane.items() > 0;
            lane.holds = Vec::new();
            lane.marks = Vec::new();
        }
    }
}
