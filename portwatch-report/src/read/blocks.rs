//! Blocks of whole lines.

use std::{
    io::{self, BufRead, Read},
    sync::Arc,
    vec,
};

use serde::Deserialize;

use super::super::line::Moment;
use portwatch_log::{input::Open, lines::LIMIT};

/// Bytes of a block. Larger ones are no faster, smaller ones hand on too often.
pub(super) const BLOCK: usize = 1 << 20;

/// A log to read.
#[derive(Debug)]
pub struct Log {
    /// Which of those that are read together.
    pub number: usize,
    /// Its files, the oldest first.
    pub files: Vec<Open>,
}

impl Log {
    /// Time of the first record that lies in what has been read of the first file: nanoseconds since 1970.
    pub(super) fn begins(&mut self) -> Option<i64> {
        #[derive(Deserialize)]
        struct Head {
            time: Moment,
        }

        let bytes = self.files.first_mut()?.reader.fill_buf().ok()?;
        let mut lines = bytes.split(|byte| *byte == b'\n');
        lines
            .find_map(|line| serde_json::from_slice::<Head>(line).ok())
            .map(|head| head.time.0)
    }
}

/// Bytes that are read into, again and again: they are zeroed only once.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    filled: usize,
}

impl Buffer {
    pub(super) fn filled(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    /// Reads a block more. True if that was the end.
    fn read(&mut self, reader: &mut dyn Read) -> io::Result<bool> {
        let end = self.filled + BLOCK;
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        while self.filled < end {
            match reader.read(&mut self.bytes[self.filled..end]) {
                Ok(0) => return Ok(true),
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Takes the beginning of a line that did not end in the block before.
    fn begin_with(&mut self, carry: &mut Vec<u8>) {
        self.filled = carry.len();
        if self.bytes.len() < carry.len() {
            self.bytes.resize(carry.len(), 0);
        }
        self.bytes[..carry.len()].copy_from_slice(carry);
        carry.clear();
        // A line that was very long is not to take its room for ever.
        self.bytes.truncate(self.filled.max(2 * BLOCK));
    }

    /// Leaves out what is before `start`.
    fn skip_to(&mut self, start: usize) {
        self.bytes.copy_within(start..self.filled, 0);
        self.filled -= start;
    }
}

/// What is known of a block.
#[derive(Debug)]
pub(super) struct Block {
    /// Of all blocks, from 0.
    pub(super) number: u64,
    /// Which log.
    pub(super) log: usize,
    /// Its file, if this is its first block.
    pub(super) begins: Option<Arc<str>>,
    /// What follows the lines.
    pub(super) end: End,
}

/// What follows the lines of a block.
#[derive(Debug)]
pub(super) enum End {
    /// Another block, or the file has ended.
    Sound,
    /// A line that is longer than any record, and was passed over.
    TooLong,
    /// The file could not be read on.
    Failed(io::Error),
}

/// All files of all logs, one after the other.
pub(super) struct Blocks {
    files: vec::IntoIter<(usize, Open)>,
    current: Option<Current>,
    /// Beginning of a line whose end has not been read.
    carry: Vec<u8>,
    /// Of the next block.
    number: u64,
}

struct Current {
    log: usize,
    reader: Box<dyn BufRead + Send>,
    /// Its name, until a block has been made of it.
    name: Option<Arc<str>>,
    /// The rest of a line that is too long is to be skipped.
    skipping: bool,
}

impl Blocks {
    pub(super) fn new(logs: Vec<Log>) -> Self {
        let files: Vec<(usize, Open)> = logs
            .into_iter()
            .flat_map(|log| log.files.into_iter().map(move |file| (log.number, file)))
            .collect();
        Self {
            files: files.into_iter(),
            current: None,
            carry: Vec::new(),
            number: 0,
        }
    }

    /// Fills `buffer` with whole lines. `None` at the end of the last file.
    pub(super) fn next(&mut self, buffer: &mut Buffer) -> Option<Block> {
        loop {
            let mut file = match self.current.take() {
                Some(file) => file,
                None => self.open()?,
            };
            buffer.begin_with(&mut self.carry);
            let (end, is_over) = self.fill(&mut file, buffer);
            // A file without any line is reported, too.
            let block = (buffer.filled > 0 || file.name.is_some() || !matches!(end, End::Sound))
                .then(|| Block {
                    number: self.number,
                    log: file.log,
                    begins: file.name.take(),
                    end,
                });
            if !is_over {
                self.current = Some(file);
            }
            if block.is_some() {
                self.number += 1;
                return block;
            }
        }
    }

    fn open(&mut self) -> Option<Current> {
        let (log, Open { name, reader, .. }) = self.files.next()?;
        Some(Current {
            log,
            reader,
            name: Some(name),
            skipping: false,
        })
    }

    /// Reads until there are whole lines. True if the file is over.
    fn fill(&mut self, file: &mut Current, buffer: &mut Buffer) -> (End, bool) {
        loop {
            let ended = buffer.read(&mut file.reader);
            if file.skipping {
                match memchr::memchr(b'\n', buffer.filled()) {
                    Some(end) => {
                        buffer.skip_to(end + 1);
                        file.skipping = false;
                    }
                    None => buffer.filled = 0,
                }
            }
            if let Ok(true) = ended {
                return (End::Sound, true);
            }
            let whole = memchr::memrchr(b'\n', buffer.filled()).map(|end| end + 1);
            if let Err(error) = ended {
                // What has no end then is not known to be cut off: it is not read.
                buffer.filled = whole.unwrap_or(0);
                return (End::Failed(error), true);
            }
            if let Some(end) = whole {
                self.carry.extend_from_slice(&buffer.filled()[end..]);
                buffer.filled = end;
                return (End::Sound, false);
            }
            if buffer.filled > LIMIT {
                buffer.filled = 0;
                file.skipping = true;
                return (End::TooLong, false);
            }
        }
    }
}
