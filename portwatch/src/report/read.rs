//! Reads logs in large blocks, several at once, and hands their lines on in order.
//!
//! Each worker takes the next block, reads the lines in it, waits for its turn, and hands them on: so the slow part (JSON)
//! runs on all processors, and memory is a few blocks whatever the size of the log. Files are read and not mapped: one
//! that is cut meanwhile would end the program.

use std::{
    io::{self, Read},
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::line::Line;
use crate::output::json::LineError;

/// Bytes of a block. Larger ones are no faster, smaller ones hand on too often.
const BLOCK: usize = 1 << 20;
/// Bytes of a line. Longer ones are none of portwatch's, and are not to fill the memory.
const LONGEST: usize = 16 << 20;
/// Workers at most: beyond, handing on is what takes the time.
const WORKERS: usize = 8;

/// A log to read.
pub struct Source {
    /// For messages.
    pub name: String,
    /// Where it comes from.
    pub bytes: Box<dyn Read + Send>,
}

/// What is done with lines; called in their order.
pub trait Sink: Send {
    /// The lines that follow are of this source.
    fn source(&mut self, name: &str);
    /// A line, and its number within the source, from 1.
    fn line(&mut self, number: u64, line: Line<'_>);
    /// A line that could not be read. `last`: the source ends with it, and it has no newline.
    fn unreadable(&mut self, number: u64, problem: &Problem, last: bool);
    /// So many bytes are done.
    fn done(&mut self, bytes: u64);
}

/// What is wrong with a line.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It is not a record.
    #[error(transparent)]
    Line(#[from] LineError),
    /// It is no text.
    #[error("not a record of portwatch: {0}")]
    Utf8(#[from] std::str::Utf8Error),
    /// It is longer than any record.
    #[error("the line is longer than {} MiB", LONGEST >> 20)]
    Long,
    /// The source could not be read on.
    #[error("cannot read on: {0}")]
    Io(#[from] io::Error),
}

/// Reads `sources` one after the other.
pub fn read(sources: Vec<Source>, sink: &mut dyn Sink) {
    let blocks = Mutex::new(Blocks::new(sources));
    let order = Order {
        state: Mutex::new((0, sink)),
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
}

struct Order<'a> {
    /// Whose turn it is, and the sink.
    state: Mutex<(u64, &'a mut dyn Sink)>,
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

fn work(blocks: &Mutex<Blocks>, order: &Order<'_>) {
    let _guard = Guard(order);
    let mut buffer = Vec::new();
    loop {
        let block = blocks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next(&mut buffer);
        let Some(block) = block else { return };
        let mut lines = Vec::new();
        // All at once is much faster than each string by itself.
        let text = std::str::from_utf8(&buffer).ok();
        let mut start = 0;
        while start < buffer.len() {
            let end = memchr::memchr(b'\n', &buffer[start..]).map(|end| start + end);
            let line = start..end.unwrap_or(buffer.len());
            start = line.end + 1;
            let line = match text {
                Some(text) => Ok(&text[line]),
                None => std::str::from_utf8(&buffer[line]),
            };
            let read = match line {
                // An empty line says nothing, and harms nobody.
                Ok(line) if line.trim_ascii().is_empty() => None,
                Ok(line) => Some(Line::parse(line).map_err(Problem::Line)),
                Err(error) => Some(Err(Problem::Utf8(error))),
            };
            lines.push((read, end.is_none()));
        }
        let Some(mut state) = order.wait(block.number) else {
            return;
        };
        let sink = &mut *state.1;
        if let Some(name) = &block.begins {
            sink.source(name);
        }
        let mut number = block.line;
        for (read, torn) in lines {
            match read {
                Some(Ok(line)) => sink.line(number, line),
                Some(Err(error)) => sink.unreadable(number, &error, torn),
                None => {}
            }
            number += 1;
        }
        if let Some(problem) = &block.problem {
            sink.unreadable(number, problem, false);
        }
        sink.done(block.bytes);
        state.0 += 1;
        drop(state);
        order.turned.notify_all();
    }
}

impl<'a> Order<'a> {
    /// `None` if it never comes.
    fn wait(&self, number: u64) -> Option<std::sync::MutexGuard<'_, (u64, &'a mut dyn Sink)>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = self
            .turned
            .wait_while(state, |state| {
                state.0 != number && !self.broken.load(Ordering::SeqCst)
            })
            .unwrap_or_else(PoisonError::into_inner);
        (state.0 == number).then_some(state)
    }
}

/// The blocks of all sources; each ends with a line.
struct Blocks {
    sources: std::vec::IntoIter<Source>,
    current: Option<Source>,
    /// The name of a source that no block has been made of.
    fresh: Option<String>,
    /// Beginning of a line whose end has not been read.
    carry: Vec<u8>,
    /// Of the next block.
    number: u64,
    /// Of its first line, from 1.
    line: u64,
    /// The rest of a line that is too long is to be skipped.
    skipping: bool,
}

struct Block {
    number: u64,
    begins: Option<String>,
    line: u64,
    bytes: u64,
    problem: Option<Problem>,
}

impl Blocks {
    fn new(sources: Vec<Source>) -> Self {
        Self {
            sources: sources.into_iter(),
            current: None,
            fresh: None,
            carry: Vec::new(),
            number: 0,
            line: 1,
            skipping: false,
        }
    }

    /// Fills `buffer` with whole lines. `None` at the end of the last source.
    fn next(&mut self, buffer: &mut Vec<u8>) -> Option<Block> {
        loop {
            if self.current.is_none() {
                let source = self.sources.next()?;
                self.fresh = Some(source.name.clone());
                self.current = Some(source);
                self.line = 1;
                self.carry.clear();
                self.skipping = false;
            }
            buffer.clear();
            buffer.append(&mut self.carry);
            let mut bytes = 0;
            loop {
                let source = self.current.as_mut()?;
                let read = (&mut source.bytes).take(BLOCK as u64).read_to_end(buffer);
                let read = match read {
                    Ok(read) => read,
                    Err(error) => {
                        self.current = None;
                        return Some(self.block(buffer, bytes, Some(error.into())));
                    }
                };
                bytes += read as u64;
                if self.skipping {
                    match memchr::memchr(b'\n', buffer) {
                        Some(end) => {
                            buffer.drain(..=end);
                            self.skipping = false;
                            self.line += 1;
                        }
                        None => buffer.clear(),
                    }
                }
                if read < BLOCK {
                    self.current = None;
                    break;
                }
                if let Some(end) = memchr::memrchr(b'\n', buffer) {
                    self.carry.extend_from_slice(&buffer[end + 1..]);
                    buffer.truncate(end + 1);
                    break;
                }
                if buffer.len() > LONGEST {
                    buffer.clear();
                    self.skipping = true;
                    return Some(self.block(buffer, bytes, Some(Problem::Long)));
                }
            }
            // A source without any line is told of, too.
            if !buffer.is_empty() || self.fresh.is_some() || bytes > 0 {
                return Some(self.block(buffer, bytes, None));
            }
        }
    }

    fn block(&mut self, buffer: &[u8], bytes: u64, problem: Option<Problem>) -> Block {
        let block = Block {
            number: self.number,
            begins: self.fresh.take(),
            line: self.line,
            bytes,
            problem,
        };
        self.number += 1;
        self.line += memchr::memchr_iter(b'\n', buffer).count() as u64;
        block
    }
}

#[cfg(test)]
mod tests;
