//! One log, line by line.

use std::{
    collections::VecDeque,
    fmt,
    io::BufRead,
    sync::{Arc, atomic::AtomicU64},
    vec,
};

use super::{
    input::{Open, OpenError},
    lines::{Line, Lines},
    problem::Problem,
    run::{Part, Runs},
    set::Log,
};
use crate::json::from_line;
use portwatch_core::{model::record::Record, words::escape::escape};

/// How every record that portwatch writes begins. Within a string of JSON the quotes would be escaped.
const BEGINNING: &[u8] = b"{\"schema\":";

/// Where something was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which log of those that are read together, from 0.
    pub log: usize,
    /// The file.
    pub file: Arc<str>,
    /// The line in it, from 1; 0 if it has none.
    pub line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Something that was found in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where.
    pub place: Place,
    /// What.
    pub found: Result<Record, Problem>,
    /// The record as it is written there, with fields that this version may not know; empty of a problem.
    pub text: String,
    /// It is a `start` that begins another file of the run that is being read, and not another run.
    pub continues: bool,
}

/// Reads a log: the records in the order of the file, problems where they are met.
///
/// An iterator that is over when all of its files are.
#[derive(Debug)]
pub struct Reader {
    log: usize,
    files: vec::IntoIter<Open>,
    file: Option<File>,
    /// Where it was read last.
    place: Place,
    runs: Runs,
    found: VecDeque<Entry>,
}

struct File {
    name: Arc<str>,
    lines: Lines<Box<dyn BufRead + Send>>,
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.lines.number())
    }
}

impl Reader {
    /// Opens all files of a log. What is read of them is counted in `read`.
    ///
    /// # Errors
    ///
    /// When one of them cannot be opened.
    pub fn open(
        log: usize,
        set: &Log,
        read: &Arc<AtomicU64>,
    ) -> Result<(Self, Option<u64>), OpenError> {
        let files: Result<Vec<Open>, OpenError> =
            set.inputs.iter().map(|input| input.open(read)).collect();
        let files = files?;
        let size = files.iter().map(|file| file.size).sum();
        Ok((Self::new(log, files), size))
    }

    /// Reads these files, the oldest first.
    #[must_use]
    pub fn new(log: usize, files: Vec<Open>) -> Self {
        let file = files.first().map(|file| Arc::clone(&file.name));
        Self {
            log,
            files: files.into_iter(),
            file: None,
            place: Place {
                log,
                file: file.unwrap_or_default(),
                line: 0,
            },
            runs: Runs::default(),
            found: VecDeque::new(),
        }
    }

    /// Reads until something is found; false when everything has been read.
    fn read_on(&mut self) -> bool {
        if self.file.is_none() {
            let Some(Open { name, reader, .. }) = self.files.next() else {
                return self.end();
            };
            self.place = Place {
                log: self.log,
                file: Arc::clone(&name),
                line: 0,
            };
            self.file = Some(File {
                name,
                lines: Lines::new(reader),
            });
        }
        let Some(file) = &mut self.file else {
            return false;
        };
        let found = match file.lines.next_line() {
            Ok(Some(line)) => {
                let found = examine(line);
                self.place.line = file.lines.number();
                found
            }
            Ok(None) => {
                self.file = None;
                return true;
            }
            Err(error) => {
                self.file = None;
                let why = escape(&error.to_string()).to_string();
                vec![Err(Problem::Io { why })]
            }
        };
        for found in found {
            self.take(found);
        }
        true
    }

    fn take(&mut self, found: Result<(Record, String), Problem>) {
        match found {
            Ok((record, text)) => {
                let part = Part::from(&record.body);
                let step = self.runs.record(record.seq, record.boot_ns, part);
                if let Some(problem) = step.problem {
                    self.tell(Err(problem), String::new(), false);
                }
                self.tell(Ok(record), text, step.continues);
            }
            Err(mut problem) => {
                self.runs.problem(&mut problem);
                self.tell(Err(problem), String::new(), false);
            }
        }
    }

    /// All files have been read: tells of a run that has no end. False if there is none.
    fn end(&mut self) -> bool {
        let problem = self.runs.end();
        let is_told = problem.is_some();
        if let Some(problem) = problem {
            self.tell(Err(problem), String::new(), false);
        }
        is_told
    }

    fn tell(&mut self, found: Result<Record, Problem>, text: String, continues: bool) {
        self.found.push_back(Entry {
            place: self.place.clone(),
            found,
            text,
            continues,
        });
    }
}

impl Iterator for Reader {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        while self.found.is_empty() {
            if !self.read_on() {
                return None;
            }
        }
        self.found.pop_front()
    }
}

/// What a line holds: nothing if it is empty, else a record or a problem, or a problem and the records behind it.
#[must_use]
pub fn examine(line: Line<'_>) -> Vec<Result<(Record, String), Problem>> {
    let bytes = match line {
        Line::TooLong => return vec![Err(Problem::TooLong)],
        Line::Whole(bytes) | Line::Last(bytes) => bytes.trim_ascii(),
    };
    if bytes.is_empty() {
        return Vec::new();
    }
    let problem = match parse(bytes) {
        Err(problem @ (Problem::Damaged { .. } | Problem::NotUtf8 { .. })) => problem,
        found => return vec![found],
    };
    let mut found: Vec<_> = records_within(bytes).map(Ok).collect();
    let problem = match (line, bytes[0]) {
        _ if !found.is_empty() => problem,
        // Zeros are what a crash of the machine leaves.
        (_, first) if first != b'{' && first != 0 => Problem::Foreign,
        (Line::Last(_), b'{') => Problem::CutOff,
        _ => problem,
    };
    found.insert(0, Err(problem));
    found
}

/// The whole records in a line that is none: what has lost its newline, or has something else's remains in front.
fn records_within(bytes: &[u8]) -> impl Iterator<Item = (Record, String)> {
    let length = BEGINNING.len();
    let mut starts: Vec<usize> = bytes
        .windows(length)
        .enumerate()
        .filter(|(_, window)| *window == BEGINNING)
        .map(|(at, _)| at)
        .collect();
    starts.push(bytes.len());
    let piece =
        move |position: usize| bytes.get(*starts.get(position)?..*starts.get(position + 1)?);
    (0..)
        .map_while(piece)
        .filter_map(move |piece| parse(piece.trim_ascii()).ok())
}

fn parse(bytes: &[u8]) -> Result<(Record, String), Problem> {
    let text = str::from_utf8(bytes).map_err(|error| Problem::NotUtf8 {
        byte: error.valid_up_to() + 1,
    })?;
    match from_line(text) {
        Ok(record) => Ok((record, text.to_owned())),
        Err(error) => Err(Problem::of(&error)),
    }
}

#[cfg(test)]
pub(crate) mod tests;
