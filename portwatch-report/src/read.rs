//! Reads logs in large blocks, several at once, and hands their lines on in order.
//!
//! Each worker takes the next block, reads the lines in it, waits for its turn, and hands them on: so the slow part (JSON)
//! runs on all processors, and memory is a few blocks whatever the size of the log. Files are read and not mapped: one
//! that is cut meanwhile would end the program. What is no record is looked at as `portwatch replay` does
//! ([`examine`]), and told in the same words.

mod blocks;

use std::{
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

pub use self::blocks::Log;
use self::blocks::{Block, Blocks, Buffer, End};
use super::line::{Body, Line};
use portwatch_core::words::escape::escape;
use portwatch_log::{
    Place, Problem, Runs,
    lines::{self, LIMIT},
    reader::examine,
    run::Part,
};

/// Workers at most: beyond, handing on is what takes the time.
const WORKERS: usize = 8;

/// What is done with the logs; called in their order.
pub trait Sink: Send {
    /// What follows is of this log.
    fn log(&mut self, log: usize);
    /// A record. `continues`: a `start` that begins another file of the run that is being read, and not another run.
    fn line(&mut self, line: &Line<'_>, continues: bool);
    /// What is not a record, or missing.
    fn problem(&mut self, place: &Place, problem: &Problem);
    /// A block has been read.
    fn block(&mut self) {}
}

/// Puts logs in the order of their first records, as far as these can be seen: of one host, what was earlier comes first.
pub fn sort(logs: &mut Vec<Log>) {
    if logs.len() < 2 {
        return;
    }
    let mut timed: Vec<(Option<i64>, Log)> =
        logs.drain(..).map(|mut log| (log.begins(), log)).collect();
    timed.sort_by_key(|(time, _)| *time);
    logs.extend(timed.into_iter().map(|(_, log)| log));
}

/// Reads `logs` one after the other.
pub fn read(logs: Vec<Log>, sink: &mut dyn Sink) {
    let blocks = Mutex::new(Blocks::new(logs));
    let order = Order {
        teller: Mutex::new(Teller::new(sink)),
        turned: Condvar::new(),
        broken: AtomicBool::new(false),
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 1..workers.min(WORKERS) {
            scope.spawn(|| work(&blocks, &order));
        }
        work(&blocks, &order);
    });
    let mut teller = order
        .teller
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    teller.end_log();
}

/// Who may hand on.
struct Order<'a> {
    teller: Mutex<Teller<'a>>,
    turned: Condvar,
    /// A worker has panicked: its turn never comes.
    broken: AtomicBool,
}

/// Wakes the others when its worker panics, so that they do not wait for ever.
struct Guard<'a, 'b>(&'a Order<'b>);

impl Drop for Guard<'_, '_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.broken.store(true, Ordering::SeqCst);
            self.0.turned.notify_all();
        }
    }
}

impl<'a> Order<'a> {
    /// `None` if it never comes.
    fn wait(&self, number: u64) -> Option<MutexGuard<'_, Teller<'a>>> {
        let teller = self.teller.lock().unwrap_or_else(PoisonError::into_inner);
        let teller = self
            .turned
            .wait_while(teller, |teller| {
                teller.next != number && !self.broken.load(Ordering::SeqCst)
            })
            .unwrap_or_else(PoisonError::into_inner);
        (teller.next == number).then_some(teller)
    }
}

fn work(blocks: &Mutex<Blocks>, order: &Order<'_>) {
    let _guard = Guard(order);
    let mut buffer = Buffer::default();
    loop {
        let block = blocks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next(&mut buffer);
        let Some(block) = block else { return };
        let lines = parse(buffer.filled());
        let Some(mut teller) = order.wait(block.number) else {
            return;
        };
        teller.block(block, lines);
        drop(teller);
        order.turned.notify_all();
    }
}

/// What a line holds.
enum Read<'a> {
    /// Nothing: an empty line harms nobody.
    Empty,
    /// A record.
    Line(Line<'a>),
    /// What is none, and the texts of the records behind it.
    Odd(Vec<Result<String, Problem>>),
}

fn parse(block: &[u8]) -> Vec<Read<'_>> {
    let mut found = Vec::new();
    // All at once is much faster than each line by itself.
    let text = str::from_utf8(block).ok();
    let mut start = 0;
    while start < block.len() {
        let end = memchr::memchr(b'\n', &block[start..]).map(|end| start + end);
        let line = start..end.unwrap_or(block.len());
        start = line.end + 1;
        let read = match text {
            Some(text) if line.len() <= LIMIT => Line::parse(&text[line.clone()]),
            _ => None,
        };
        found.push(read.map_or_else(|| odd(&block[line], end.is_none()), Read::Line));
    }
    found
}

/// Slow, and only of what is no record at first sight.
#[cold]
fn odd(bytes: &[u8], is_last: bool) -> Read<'_> {
    let found = examine(match is_last {
        _ if bytes.len() > LIMIT => lines::Line::TooLong,
        true => lines::Line::Last(bytes),
        false => lines::Line::Whole(bytes),
    });
    if found.is_empty() {
        return Read::Empty;
    }
    let text = |found: Result<_, Problem>| found.map(|(_, text)| text);
    Read::Odd(found.into_iter().map(text).collect())
}

/// Hands on, and follows the runs.
struct Teller<'a> {
    sink: &'a mut dyn Sink,
    /// Whose turn it is.
    next: u64,
    runs: Runs,
    /// Where it was read last; `None` before the first block.
    place: Option<Place>,
}

impl<'a> Teller<'a> {
    fn new(sink: &'a mut dyn Sink) -> Self {
        Self {
            sink,
            next: 0,
            runs: Runs::default(),
            place: None,
        }
    }

    fn block(&mut self, block: Block, lines: Vec<Read<'_>>) {
        if let Some(file) = block.begins {
            if self
                .place
                .as_ref()
                .is_none_or(|place| place.log != block.log)
            {
                self.end_log();
                self.sink.log(block.log);
            }
            self.place = Some(Place {
                log: block.log,
                file,
                line: 0,
            });
        }
        for read in lines {
            self.next_line();
            match read {
                Read::Empty => {}
                Read::Line(line) => self.line(&line),
                Read::Odd(found) => found.into_iter().for_each(|found| self.odd(found)),
            }
        }
        match block.end {
            End::Sound => {}
            End::TooLong => {
                self.next_line();
                self.problem(Problem::TooLong);
            }
            End::Failed(error) => {
                let why = escape(&error.to_string()).to_string();
                self.problem(Problem::Io { why });
            }
        }
        self.sink.block();
        self.next += 1;
    }

    fn next_line(&mut self) {
        if let Some(place) = &mut self.place {
            place.line += 1;
        }
    }

    fn line(&mut self, line: &Line<'_>) {
        let step = match &line.body {
            Body::Start { boot_ns, start } => {
                self.runs.record(line.seq, *boot_ns, Part::Start(start))
            }
            Body::Stop => self.runs.record(line.seq, 0.into(), Part::Stop),
            _ => self.runs.record(line.seq, 0.into(), Part::Other),
        };
        if let Some(problem) = step.problem {
            self.tell(&problem);
        }
        self.sink.line(line, step.continues);
    }

    fn odd(&mut self, found: Result<String, Problem>) {
        match found {
            Ok(text) => match Line::parse(&text) {
                Some(line) => self.line(&line),
                None => self.problem(Problem::Unreadable {
                    why: "a field has an impossible value".to_owned(),
                    version: None,
                }),
            },
            Err(problem) => self.problem(problem),
        }
    }

    fn problem(&mut self, mut problem: Problem) {
        self.runs.problem(&mut problem);
        self.tell(&problem);
    }

    fn tell(&mut self, problem: &Problem) {
        if let Some(place) = &self.place {
            self.sink.problem(place, problem);
        }
    }

    fn end_log(&mut self) {
        if let Some(problem) = self.runs.end() {
            self.tell(&problem);
        }
    }
}

#[cfg(test)]
mod tests;
