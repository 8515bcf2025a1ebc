//! The thread that tells the story: decodes, judges, looks things up, writes.

use std::{
    sync::mpsc::Receiver,
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

use tokio::sync::{mpsc::Sender, oneshot};

use crate::{
    bpf::counters::Totals,
    clock::{Clock, boot_now},
    decode,
    machine::Machine,
    model::record::{Body, Lost, Stop},
    output::sink::{Outcome, Sink},
    story::Story,
};
use portwatch_common::counters::Counter;

/// How often the wall clock is compared with the kernel's.
const CLOCK_SAMPLE: Duration = Duration::from_secs(1);

/// Gives chunks back to the pump.
pub(super) type Chunks = Sender<Vec<u8>>;

/// What the teller is told.
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
    /// Everything is detached and read.
    Finish {
        /// What the hooks counted.
        totals: Box<Totals>,
        /// What the kernel skipped.
        missed: Option<u64>,
    },
}

/// What is left when the story is told.
#[derive(Debug)]
pub(super) struct Ended {
    /// The last record.
    pub(super) stop: Option<Stop>,
    /// Attempts that were told.
    pub(super) told: u64,
    /// Records that could not be written.
    pub(super) dropped: u64,
}

/// Tells a story.
#[derive(Debug)]
pub(super) struct Teller {
    pub(super) story: Story<Machine>,
    pub(super) sink: Sink,
    /// When the clocks were read last.
    pub(super) sampled: Instant,
    /// Attempts that were told.
    pub(super) told: u64,
    /// Attempts that may still be told.
    pub(super) remaining: Option<u64>,
    /// Told when nothing more is wanted: the count is reached, or the reader is gone.
    pub(super) enough: Option<oneshot::Sender<()>>,
}

impl Teller {
    /// Writes a record that does not come from the ring.
    pub(super) fn tell(&mut self, body: Body) {
        let now = boot_now().unwrap_or(0);
        let record = self.story.record(now, body);
        let outcome = self.sink.record(&record);
        self.heed(outcome);
    }

    pub(super) fn flush(&mut self) {
        let outcome = self.sink.flush();
        self.heed(outcome);
    }

    /// Runs on a thread of its own until [`Message::Finish`], or until the pump is gone.
    pub(super) fn spawn(
        mut self,
        messages: Receiver<Message>,
        chunks: Chunks,
    ) -> std::io::Result<JoinHandle<Ended>> {
        Builder::new().name("teller".to_owned()).spawn(move || {
            let mut stop = None;
            for message in messages {
                self.set_clock();
                match message {
                    Message::Chunk(mut chunk) => {
                        self.chunk(&chunk);
                        chunk.clear();
                        // The channel has room for every chunk there is; closed, the pump needs none.
                        let _ = chunks.try_send(chunk);
                    }
                    Message::Lost {
                        kind,
                        count,
                        from_boot_ns,
                    } => self.lost(kind, count, from_boot_ns),
                    Message::Finish { totals, missed } => {
                        stop = Some(self.finish(&totals, missed));
                        break;
                    }
                }
                self.flush();
            }
            Ended {
                stop,
                told: self.told,
                dropped: self.sink.dropped(),
            }
        })
    }

    /// Follows the wall clock, which may be set while tracing (at boot, by NTP).
    fn set_clock(&mut self) {
        if self.sampled.elapsed() >= CLOCK_SAMPLE
            && let Ok(clock) = Clock::now()
        {
            self.story.set_clock(clock);
            self.sampled = Instant::now();
        }
    }

    fn chunk(&mut self, chunk: &[u8]) {
        for event in decode::events(chunk) {
            if self.remaining == Some(0) {
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
            let Some(record) = self.story.event(&event) else {
                continue;
            };
            self.told += 1;
            self.remaining = self.remaining.map(|remaining| remaining - 1);
            let outcome = self.sink.record(&record);
            self.heed(outcome);
            if self.remaining == Some(0) {
                self.end();
            }
        }
    }

    fn lost(&mut self, kind: &str, count: u64, from_boot_ns: u64) {
        let clock = self.story.clock();
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
        let stop = Stop {
            seen: totals.get(Counter::Seen),
            submitted: totals.get(Counter::Submitted),
            lost: totals.get(Counter::Lost),
            filtered: totals.get(Counter::Filtered),
            missed,
            failures: self.story.failures().clone(),
            evicted: {
                let mut evicted = self.story.evicted();
                evicted.insert("owners".to_owned(), totals.get(Counter::OwnerEvicted));
                evicted
            },
        };
        self.tell(Body::Stop(stop.clone()));
        self.flush();
        stop
    }

    fn heed(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Fine => {}
            Outcome::Closed => self.end(),
            Outcome::Failed(error) => anstream::eprintln!("portwatch: {error}"),
            Outcome::Recovered { dropped } => {
                anstream::eprintln!(
                    "portwatch: writing works again; {dropped} records are missing"
                );
            }
        }
    }

    fn end(&mut self) {
        if let Some(enough) = self.enough.take() {
            // When nobody waits any more, the end has begun.
            let _ = enough.send(());
        }
    }
}
