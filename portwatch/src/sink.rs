//! Where lines are written to: standard output, or a file that is never left with half a line.
//!
//! Records are rendered into a buffer and written together. What cannot be written is dropped and counted, tracing goes
//! on, and when writing works again a `lost` record stands where the others are missing.
//!
//! A file begins with a `start` record, whoever begins it: the run, a rotation, a signal to open it again, or somebody
//! who cut it off. Where it goes on with what an earlier file began, that record has the `seq` of the one before the next,
//! so that within a file no number is missing.

mod missing;
mod open;
mod outcome;
mod place;
mod rotate;
mod tail;
mod target;

use std::{fs::File, io, path::Path};

pub use missing::Missing;
pub use open::{OpenError, Repair, show};
pub use outcome::{Outcome, Trouble};
pub use rotate::Rotation;

use missing::Head;
use place::Place;
use target::{Standing, Target};

use portwatch_core::model::record::{Body, Record};
use portwatch_log::{json, text::Text};

/// The buffer is written when it has grown to this many bytes, or when the caller says so.
const FLUSH_AT: usize = 64 * 1024;

/// How records become bytes.
#[derive(Clone, Debug)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// For people.
    Text(Text),
}

/// Whether `-o FILE` may find the file in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfExists {
    /// It must not exist.
    Refuse,
    /// Add to it.
    Append,
}

/// A destination of records.
#[derive(Debug)]
pub struct Sink {
    format: Format,
    target: Target,
    /// Of a file of our own: where it is, and when another one is begun.
    place: Option<Place>,
    /// The `start` record of this run.
    start: Option<Record>,
    /// Nothing of this run is in the target: a `start` record comes first.
    fresh: bool,
    /// What is to be written next: whole records.
    buffer: Vec<u8>,
    /// The records in `buffer`, in order.
    marks: Vec<Mark>,
    /// What the log does not say yet to be missing.
    missing: Option<Missing>,
    /// The reason why records cannot be written, as it was reported.
    trouble: Option<io::ErrorKind>,
    dropped: u64,
    closed: bool,
}

/// A record in the buffer.
#[derive(Debug)]
struct Mark {
    /// Where it ends in the buffer.
    end: usize,
    head: Head,
    what: What,
}

/// What a piece of the buffer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Start,
    Record,
    /// A `lost` record alone: not one of the assembler's.
    Gap,
}

impl Sink {
    /// Standard output.
    ///
    /// # Errors
    ///
    /// When its descriptor cannot be duplicated.
    pub fn stdout(format: Format) -> io::Result<Self> {
        Ok(Self::new(format, Target::stdout()?, None))
    }

    /// A file, made for its owner alone (mode 0600); symbolic links are not followed. And what was wrong with the end of
    /// one that is added to.
    ///
    /// # Errors
    ///
    /// When it cannot be made or added to, or is in use by another portwatch.
    pub fn file(
        format: Format,
        path: &Path,
        if_exists: IfExists,
        rotation: Rotation,
    ) -> Result<(Self, Option<Repair>), OpenError> {
        let json = matches!(format, Format::Json);
        let opened = open::open(path, if_exists, json)?;
        let place = Place::new(path, if_exists, rotation, json, &opened);
        Ok((Self::new(format, opened.target, Some(place)), opened.repair))
    }

    /// An open file of somebody else.
    #[must_use]
    pub fn stream(format: Format, name: &str, file: File) -> Self {
        Self::new(format, Target::stream(name, file), None)
    }

    fn new(format: Format, target: Target, place: Option<Place>) -> Self {
        Self {
            format,
            target,
            place,
            start: None,
            fresh: true,
            buffer: Vec::new(),
            marks: Vec::new(),
            missing: None,
            trouble: None,
            dropped: 0,
            closed: false,
        }
    }

    /// For messages.
    #[must_use]
    pub fn name(&self) -> &str {
        self.target.name()
    }

    /// How many records were dropped so far because they could not be written.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped + self.target.has_rest() as u64
    }

    /// Takes a record; it is written when enough has come together, or at the next [`Sink::flush`].
    pub fn record(&mut self, record: &Record) -> Outcome {
        if self.closed {
            return Outcome::Closed;
        }
        let before = self.buffer.len();
        self.render_piece(record);
        let mut outcome = Outcome::Fine;
        if self.is_due(record) {
            self.buffer.truncate(before);
            outcome = self.flush();
            if self.missing.is_none() && !self.closed {
                outcome = outcome.then(self.rotate(record.boot_ns.0));
            }
            // What was written meanwhile changes what comes first.
            self.render_piece(record);
        }
        let what = if matches!(record.body, Body::Start(_)) {
            What::Start
        } else {
            What::Record
        };
        self.mark(record.into(), what);
        if self.buffer.len() >= FLUSH_AT {
            outcome = outcome.then(self.flush());
        }
        outcome
    }

    /// Records before the next one never came here: somebody else has dropped and counted them.
    pub fn missed(&mut self, missing: Missing) -> Outcome {
        // What is waiting comes before them.
        let outcome = self.flush();
        Missing::note(&mut self.missing, missing);
        self.forget_date();
        outcome
    }

    /// Writes what is waiting; to be called whenever no further record is at hand, and at the end.
    pub fn flush(&mut self) -> Outcome {
        if self.closed {
            return Outcome::Closed;
        }
        if self.marks.is_empty() {
            // Trouble is over only when a record can be written.
            let (Some(missing), None) = (&self.missing, self.trouble) else {
                return Outcome::Fine;
            };
            let gap = missing.record();
            self.render_piece_of(&gap, None);
            self.mark((&gap).into(), What::Gap);
        }
        let renewed = match self.upkeep() {
            Ok(renewed) => renewed,
            Err(trouble) => {
                self.buffer.clear();
                let marks = std::mem::take(&mut self.marks);
                return self.fail(marks, trouble);
            }
        };
        if let Err(source) = self.has_room() {
            self.buffer.clear();
            let marks = std::mem::take(&mut self.marks);
            let name = self.name().to_owned();
            return self.fail(marks, Trouble::Write { name, source });
        }
        let ends: Vec<usize> = self.marks.iter().map(|mark| mark.end).collect();
        let written = self.target.write(&self.buffer, &ends);
        self.buffer.clear();
        let unwritten = self.marks.split_off(written.whole);
        let taken = std::mem::take(&mut self.marks);
        let mut recovered = Outcome::Fine;
        if !taken.is_empty() {
            self.fresh = false;
            if let Some(place) = &mut self.place {
                place.holds |= taken.iter().any(|mark| mark.what != What::Start);
            }
            let missing = self.missing.take();
            if let (Some(missing), Some(_)) = (missing, self.trouble.take()) {
                recovered = Outcome::Recovered {
                    name: self.name().to_owned(),
                    dropped: missing.count(),
                };
            }
        }
        match written.error {
            None => recovered.then(renewed),
            Some(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Outcome::Closed
            }
            Some(source) => {
                let name = self.name().to_owned();
                recovered.then(self.fail(unwritten, Trouble::Write { name, source }))
            }
        }
    }

    /// Opens the file again under its name, if that is another file now: somebody has moved this one away.
    pub fn reopen(&mut self) -> Outcome {
        let flushed = self.flush();
        let Some(place) = &self.place else {
            return flushed;
        };
        if place.is_at(&self.target) {
            return flushed;
        }
        flushed.then(match place.open_again() {
            Ok(opened) => {
                let repair = opened.repair.clone();
                self.renew(opened);
                repair.map_or(Outcome::Fine, Outcome::Repaired)
            }
            Err(source) => Outcome::Failed(Trouble::NotReopened { source }),
        })
    }

    fn mark(&mut self, head: Head, what: What) {
        let end = self.buffer.len();
        self.marks.push(Mark { end, head, what });
    }

    /// Renders a record, and what must stand before it. One piece with it: where only that fits, nothing has been gained.
    fn render_piece(&mut self, record: &Record) {
        let first = self.marks.is_empty();
        let gap = self.missing.as_ref().filter(|_| first);
        let gap = gap.map(Missing::record);
        self.render_piece_of(
            gap.as_ref().unwrap_or(record),
            gap.is_some().then_some(record),
        );
    }

    fn render_piece_of(&mut self, first: &Record, second: Option<&Record>) {
        if self.marks.is_empty() && self.fresh {
            if let Body::Start(_) = &first.body {
                self.start = Some(first.clone());
            } else {
                self.render_start(&first.into());
            }
        }
        self.render(first);
        if let Some(second) = second {
            self.render(second);
        }
    }

    /// The `start` record of a file that goes on with `next`.
    fn render_start(&mut self, next: &Head) {
        let Some(start) = &self.start else { return };
        let start = Record {
            seq: next.seq.saturating_sub(1),
            time: next.time.clone(),
            boot_ns: next.boot_ns,
            body: start.body.clone(),
        };
        self.render(&start);
    }

    fn render(&mut self, record: &Record) {
        match &mut self.format {
            Format::Json => json::to_line(record, &mut self.buffer),
            Format::Text(text) => {
                // Writing to memory does not fail.
                let result = text.record(record, &mut self.buffer);
                debug_assert!(result.is_ok(), "{result:?}");
            }
        }
    }

    /// Whether the record that was just rendered belongs into a new file.
    fn is_due(&mut self, record: &Record) -> bool {
        let len = self.target.len() + self.buffer.len() as u64;
        let waiting = self.marks.iter().any(|mark| mark.what != What::Start);
        self.place
            .as_mut()
            .is_some_and(|place| place.is_due(record.boot_ns.0, len, waiting))
    }

    fn rotate(&mut self, now_ns: u64) -> Outcome {
        let Some(place) = &mut self.place else {
            return Outcome::Fine;
        };
        match place.rotate(&self.target, now_ns) {
            Ok(opened) => {
                self.renew(opened);
                Outcome::Fine
            }
            Err(Some(trouble)) => Outcome::Failed(trouble),
            Err(None) => Outcome::Fine,
        }
    }

    /// Goes on in another file.
    fn renew(&mut self, opened: open::Opened) {
        if let Some(place) = &mut self.place {
            place.renew(&opened);
        }
        self.dropped += u64::from(self.target.has_rest());
        self.target = opened.target;
        self.fresh = true;
        self.forget_date();
    }

    /// Looks what others have done to the file, and makes good for it before the buffer is written.
    fn upkeep(&mut self) -> Result<Outcome, Trouble> {
        let Some(place) = &mut self.place else {
            return Ok(Outcome::Fine);
        };
        let outcome = match self.target.standing() {
            Standing::Sound => return Ok(Outcome::Fine),
            Standing::Cut => {
                place.holds = self.target.len() > 0;
                self.fresh = true;
                Outcome::Fine
            }
            Standing::Gone => {
                let name = self.target.name().to_owned();
                let opened = place.open_again().map_err(|source| Trouble::Removed {
                    name: name.clone(),
                    source,
                })?;
                self.renew(opened);
                Outcome::MadeAnew { name }
            }
        };
        self.head_buffer();
        Ok(outcome)
    }

    /// Puts a `start` record before a buffer that has been rendered for a file that had one.
    fn head_buffer(&mut self) {
        let Some(Mark { head, what, .. }) = self.marks.first() else {
            return;
        };
        if *what == What::Start {
            return;
        }
        let head = self
            .missing
            .as_ref()
            .map_or_else(|| head.clone(), |missing| (&missing.record()).into());
        let rendered = std::mem::take(&mut self.buffer);
        self.render_start(&head);
        let added = self.buffer.len();
        self.buffer.extend_from_slice(&rendered);
        for mark in &mut self.marks {
            mark.end += added;
        }
    }

    /// Whether it is worth trying again.
    fn has_room(&self) -> io::Result<()> {
        match self.trouble {
            Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                self.target.reserve()
            }
            _ => Ok(()),
        }
    }

    fn fail(&mut self, unwritten: Vec<Mark>, trouble: Trouble) -> Outcome {
        for Mark { head, what, .. } in unwritten {
            if what != What::Gap {
                self.dropped += 1;
                Missing::note(&mut self.missing, Missing::of(head));
            }
        }
        self.forget_date();
        let kind = trouble.kind();
        if self.trouble.replace(kind) == Some(kind) {
            Outcome::Fine
        } else {
            Outcome::Failed(trouble)
        }
    }

    /// What was rendered last has not been written.
    fn forget_date(&mut self) {
        if let Format::Text(text) = &mut self.format {
            text.forget();
        }
    }
}

#[cfg(test)]
mod tests;
