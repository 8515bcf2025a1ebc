//! The teller's thread: decodes, judges, looks things up, writes.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError},
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

use tokio::sync::mpsc::Sender;

use super::outlet::{Dropped, Outlet};
use crate::{
    bpf::counters::Totals,
    machine::{
        Machine,
        clock::{self, boot_now},
    },
};
use portwatch_common::counters::Counter;
use portwatch_core::{
    assemble::Assembler,
    decode,
    model::record::{Body, Lost, Stop},
};

/// How often the wall clock is compared with the kernel's.
const CLOCK_SAMPLE: Duration = Duration::from_secs(1);
/// How often the assembler is asked for records that no event announces.
const TICK: Duration = Duration::from_millis(250);

/// Gives chunks back to the pump.
pub(super) type Chunks = Sender<Vec<u8>>;

/// Messages to the teller.
#[derive(Debug)]
pub(super) enum Message {
    /// Records of the kernel side.
    Chunk(Vec<u8>),
    /// The kernel side has lost something since the last look.
    Lost {
        /// What.
        kind: &'static str,
        /// How many.
        count: u64,
        /// Since when: `CLOCK_BOOTTIME`, ns.
        from_boot_ns: u64,
    },
    /// Log files may have been moved away: they are opened again.
    Reopen,
    /// Everything is detached and read.
    Finish {
        /// What the hooks counted.
        totals: Box<Totals>,
        /// What the kernel skipped.
        missed: Option<u64>,
    },
}

/// What is left when the last record is written.
#[derive(Debug)]
pub(super) struct Ended {
    /// The last record.
    pub(super) stop: Option<Stop>,
    /// Attempts that were written.
    pub(super) told: u64,
    /// Records that could not be written.
    pub(super) dropped: Vec<Dropped>,
}

/// Turns chunks of the ring into records, and hands them to the outputs.
#[derive(Debug)]
pub(super) struct Teller {
    pub(super) assembler: Assembler<Machine>,
    pub(super) outlet: Outlet,
    /// When the clocks were read last.
    sampled: Instant,
    /// When the assembler was last asked without an event.
    ticked: Instant,
}

impl Teller {
    pub(super) fn new(assembler: Assembler<Machine>, outlet: Outlet) -> Self {
        let now = Instant::now();
        Self {
            assembler,
            outlet,
            sampled: now,
            ticked: now,
        }
    }

    /// Writes a record that does not come from the ring.
    pub(super) fn tell(&mut self, body: Body) {
        let now = boot_now().unwrap_or(0);
        let record = self.assembler.record(now, body);
        self.outlet.write(record);
    }

    /// Runs on a thread of its own until [`Message::Finish`], or until the pump is gone.
    pub(super) fn spawn(
        mut self,
        messages: Receiver<Message>,
        chunks: Chunks,
    ) -> std::io::Result<JoinHandle<Ended>> {
        Builder::new().name("teller".to_owned()).spawn(move || {
            let mut stop = None;
            loop {
                let message = messages.recv_timeout(TICK);
                self.set_clock();
                match message {
                    Ok(Message::Chunk(mut chunk)) => {
                        self.chunk(&chunk);
                        chunk.clear();
                        // The channel has room for every chunk there is; closed, the pump needs none.
                        let _ = chunks.try_send(chunk);
                    }
                    Ok(Message::Lost {
                        kind,
                        count,
                        from_boot_ns,
                    }) => self.lost(kind, count, from_boot_ns),
                    Ok(Message::Finish { totals, missed }) => {
                        stop = Some(self.finish(&totals, missed));
                        break;
                    }
                    Ok(Message::Reopen) => self.outlet.reopen(),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                self.tick();
                self.outlet.flush();
            }
            Ended {
                stop,
                told: self.outlet.told(),
                dropped: self.outlet.finish(),
            }
        })
    }

    /// Follows the wall clock, which may be set while tracing (at boot, by NTP).
    fn set_clock(&mut self) {
        if self.sampled.elapsed() >= CLOCK_SAMPLE
            && let Ok(clock) = clock::sample()
        {
            self.assembler.set_clock(clock);
            self.sampled = Instant::now();
        }
    }

    fn chunk(&mut self, chunk: &[u8]) {
        for event in decode::events(chunk) {
            if self.outlet.is_full() {
                return;
            }
            let event = match event {
                Ok(event) => event,
                Err(error) => {
                    anstream::eprintln!(
                        "portwatch: the kernel side sent {error}; it is passed over"
                    );
                    continue;
                }
            };
            for record in self.assembler.event(&event) {
                self.outlet.write(record);
            }
        }
    }

    /// Tells what no event announces.
    fn tick(&mut self) {
        if self.outlet.is_full() || self.ticked.elapsed() < TICK {
            return;
        }
        self.ticked = Instant::now();
        if let Ok(now) = boot_now() {
            for record in self.assembler.tick(now) {
                self.outlet.write(record);
            }
        }
    }

    fn lost(&mut self, kind: &str, count: u64, from_boot_ns: u64) {
        let clock = self.assembler.clock();
        let to = clock.rfc3339(boot_now().unwrap_or(from_boot_ns));
        let from = clock.rfc3339(from_boot_ns);
        self.tell(Body::Lost(Lost {
            kind: kind.to_owned(),
            count,
            from,
            to,
        }));
    }

    fn finish(&mut self, totals: &Totals, missed: Option<u64>) -> Stop {
        if self.outlet.is_full() {
            // What came after that has not been read.
            self.assembler.doubt();
        }
        for record in self.assembler.finish(boot_now().unwrap_or(0)) {
            self.outlet.write(record);
        }
        let untold = self.assembler.untold();
        let stop = Stop {
            seen: totals.get(Counter::Seen),
            // What the kernel side hands over for the end of an episode, and is no such end, is left out here.
            submitted: totals.get(Counter::Submitted).saturating_sub(untold),
            lost: totals.get(Counter::Lost),
            filtered: totals.get(Counter::Filtered) + untold,
            missed,
            failures: self.assembler.failures().clone(),
            evicted: {
                let mut evicted = self.assembler.evicted();
                evicted.insert("owners".to_owned(), totals.get(Counter::OwnerEvicted));
                evicted
            },
        };
        self.tell(Body::Stop(stop.clone()));
        stop
    }
}
