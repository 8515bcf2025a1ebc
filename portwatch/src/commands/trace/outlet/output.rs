//! One output: the teller's side of it, and the thread that writes.

use std::{
    io,
    sync::Arc,
    thread::{Builder, JoinHandle},
};

use super::{
    Dropped,
    enough::Enough,
    messages::Voice,
    queue::{Batch, Limits, Patience, Queue, Work, weight},
};
use crate::sink::{Missing, Outcome, Sink};
use portwatch_core::model::record::Record;

/// Records are handed over together when they have this weight.
const BATCH: usize = 256;

/// The teller's side.
#[derive(Debug)]
pub(super) struct Output {
    name: String,
    queue: Arc<Queue>,
    limits: Limits,
    voice: Voice,
    batch: Batch,
    patience: Patience,
    /// What was dropped since it fell behind.
    behind: Option<Missing>,
    dropped: u64,
    thread: JoinHandle<u64>,
}

/// Outputs that have not come to their end.
#[derive(Debug)]
pub(in super::super) struct Unfinished(Vec<(String, Arc<Queue>)>);

impl<'a> FromIterator<&'a Output> for Unfinished {
    fn from_iter<I: IntoIterator<Item = &'a Output>>(outputs: I) -> Self {
        let of = |output: &Output| (output.name.clone(), Arc::clone(&output.queue));
        Self(outputs.into_iter().map(of).collect())
    }
}

impl Unfinished {
    /// Their names.
    pub(in super::super) fn names(&self) -> Vec<&str> {
        let unfinished = self.0.iter().filter(|(_, queue)| !queue.has_ended());
        unfinished.map(|(name, _)| name.as_str()).collect()
    }
}

impl Output {
    /// Starts the thread.
    pub(super) fn start(
        sink: Sink,
        limits: Limits,
        enough: &Arc<Enough>,
        voice: Voice,
    ) -> io::Result<Self> {
        let name = sink.name().to_owned();
        let queue = Arc::new(Queue::default());
        let writer = Writer {
            sink,
            queue: Arc::clone(&queue),
            enough: Arc::clone(enough),
            voice: voice.clone(),
        };
        let thread = Builder::new()
            .name("writer".to_owned())
            .spawn(move || writer.run())?;
        Ok(Self {
            name,
            queue,
            limits,
            voice,
            batch: Batch::default(),
            patience: Patience::new(limits.hold_up),
            behind: None,
            dropped: 0,
            thread,
        })
    }

    pub(super) fn write(&mut self, record: &Arc<Record>) {
        self.batch.weight += weight(record);
        self.batch.records.push(Arc::clone(record));
        if self.batch.weight >= BATCH {
            self.hand_over();
        }
    }

    pub(super) fn flush(&mut self) {
        if !self.batch.records.is_empty() || self.behind.is_some() {
            self.hand_over();
        }
    }

    pub(super) fn reopen(&mut self) {
        self.flush();
        self.queue.push(Work::Reopen);
    }

    /// Hands over what is waiting, or drops it if too much is.
    fn hand_over(&mut self) {
        let caught_up = self.queue.is_empty();
        if caught_up {
            self.batch.gap = self.behind.take();
            if let Some(gap) = &self.batch.gap {
                let (name, missing) = (&self.name, records_are(gap.count()));
                self.voice
                    .say(format!("{name} takes records again; {missing} missing"));
            }
        }
        let batch = std::mem::take(&mut self.batch);
        let most = self.limits.waiting;
        let room = || {
            let patience = &mut self.patience;
            self.queue.wait_for_room(batch.weight, most, patience)
        };
        if caught_up || self.behind.is_none() && { room }() {
            self.queue.push(Work::Write(batch));
        } else {
            self.drop_records(&batch.records);
        }
    }

    fn drop_records(&mut self, records: &[Arc<Record>]) {
        if self.behind.is_none() {
            let name = &self.name;
            self.voice.say(format!(
                "{name} does not take records as fast as they come, or not at all; \
                 they are dropped and counted until it has caught up"
            ));
        }
        for record in records {
            self.dropped += 1;
            Missing::note(&mut self.behind, Missing::one(record));
        }
    }

    /// Hands over the last records, however much is waiting.
    pub(super) fn end(&mut self) {
        let mut batch = std::mem::take(&mut self.batch);
        batch.gap = self.behind.take();
        self.queue.push(Work::Write(batch));
        self.queue.push(Work::End);
    }

    /// Waits for the end. Gives what is not written, if anything.
    pub(super) fn finish(self) -> Option<Dropped> {
        // A thread that panicked has said so.
        let count = self.dropped + self.thread.join().unwrap_or(0);
        let name = self.name;
        (count > 0).then_some(Dropped { name, count })
    }
}

/// The thread that writes.
struct Writer {
    sink: Sink,
    queue: Arc<Queue>,
    enough: Arc<Enough>,
    voice: Voice,
}

impl Writer {
    /// Gives how many records could not be written.
    fn run(mut self) -> u64 {
        let mut written = 0;
        let mut unflushed = false;
        loop {
            let work = self.queue.next(written, unflushed);
            written = 0;
            let open = match work {
                Work::Write(batch) => {
                    unflushed = true;
                    written = batch.weight;
                    self.write(batch)
                }
                Work::Flush => {
                    unflushed = false;
                    let outcome = self.sink.flush();
                    self.heed(outcome)
                }
                Work::Reopen => {
                    unflushed = false;
                    let outcome = self.sink.reopen();
                    self.heed(outcome)
                }
                Work::End => {
                    let outcome = self.sink.flush();
                    self.heed(outcome);
                    break;
                }
            };
            if !open {
                self.enough.closed();
                break;
            }
        }
        self.queue.end();
        self.sink.dropped()
    }

    fn write(&mut self, batch: Batch) -> bool {
        if let Some(gap) = batch.gap {
            let outcome = self.sink.missed(gap);
            self.heed(outcome);
        }
        batch.records.iter().all(|record| {
            let outcome = self.sink.record(record);
            self.heed(outcome)
        })
    }

    /// False if nobody reads any more.
    fn heed(&self, outcome: Outcome) -> bool {
        let message = match outcome {
            Outcome::Fine => return true,
            Outcome::Closed => return false,
            Outcome::Failed(trouble) => trouble.to_string(),
            Outcome::Recovered { name, dropped } => {
                format!(
                    "writing to {name} works again; {} missing",
                    records_are(dropped)
                )
            }
            Outcome::MadeAnew { name } => format!("{name} was removed; it has been made again"),
            Outcome::Repaired(repair) => repair.to_string(),
        };
        self.voice.say(message);
        true
    }
}

fn records_are(count: u64) -> String {
    match count {
        1 => "1 record is".to_owned(),
        _ => format!("{count} records are"),
    }
}
