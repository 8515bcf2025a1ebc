//! What the kernel side has lost since the last look.

use std::sync::mpsc::Sender;

use portwatch_common::counters::Counter;

use super::teller::Message;
use crate::{
    bpf::counters::{Reader, Totals},
    machine::clock::boot_now,
};

/// Counters of losses, and what a `lost` record calls them.
const KINDS: [(Counter, &str); 4] = [
    (Counter::Lost, "attempt"),
    (Counter::ProcessLost, "process"),
    // And of TIME_WAITs.
    (Counter::PortLost, "port"),
    // The attempt is reported, without the requested address.
    (Counter::CallsFull, "entry"),
];

/// Compares the counters with how they stood before.
pub(super) struct Losses<'a> {
    counters: &'a Reader,
    before: Totals,
    looked_boot_ns: u64,
}

impl<'a> Losses<'a> {
    pub(super) fn new(counters: &'a Reader) -> Self {
        Self {
            counters,
            before: Totals::default(),
            looked_boot_ns: boot_now().unwrap_or(0),
        }
    }

    /// Tells of every loss since the last look.
    pub(super) fn look(&mut self, teller: &Sender<Message>) {
        let totals = self.counters.totals();
        for (counter, kind) in KINDS {
            let count = totals.get(counter) - self.before.get(counter);
            if count > 0 {
                // When the teller is gone, tracing is about to end.
                let _ = teller.send(Message::Lost {
                    kind,
                    count,
                    from_boot_ns: self.looked_boot_ns,
                });
            }
        }
        self.before = totals;
        self.looked_boot_ns = boot_now().unwrap_or(self.looked_boot_ns);
    }
}
