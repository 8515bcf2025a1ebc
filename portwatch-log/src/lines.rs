//! Lines of a bounded length.

use std::io::{self, BufRead, Read};

/// Longest line, in bytes. A record with every socket that it can have, each open in hundreds of processes, is shorter.
pub const LIMIT: usize = 16 << 20;

/// A line, without its newline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// One that ends with a newline.
    Whole(&'a [u8]),
    /// The last, which ends with the input.
    Last(&'a [u8]),
    /// One that is longer than the limit; it has been passed over.
    TooLong,
}

/// Reads lines.
#[derive(Debug)]
pub struct Lines<R> {
    reader: R,
    limit: usize,
    line: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    /// Lines of `reader`, of at most [`LIMIT`] bytes.
    pub const fn new(reader: R) -> Self {
        Self::with_limit(reader, LIMIT)
    }

    /// Lines of `reader`, of at most `limit` bytes.
    pub const fn with_limit(reader: R, limit: usize) -> Self {
        Self {
            reader,
            limit,
            line: Vec::new(),
            number: 0,
        }
    }

    /// Number of the line that was read last, from 1.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    ///
    /// What the reader fails with.
    pub fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        // One more for the newline.
        let room = self.limit as u64 + 1;
        let read = self
            .reader
            .by_ref()
            .take(room)
            .read_until(b'\n', &mut self.line)?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
            return Ok(Some(Line::Whole(&self.line)));
        }
        if self.line.len() <= self.limit {
            return Ok(Some(Line::Last(&self.line)));
        }
        self.reader.skip_until(b'\n')?;
        Ok(Some(Line::TooLong))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(bytes: &[u8], limit: usize) -> Vec<(u64, Option<Vec<u8>>, bool)> {
        let mut lines = Lines::with_limit(bytes, limit);
        let mut found = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            let (text, ends) = match line {
                Line::Whole(text) => (Some(text.to_vec()), true),
                Line::Last(text) => (Some(text.to_vec()), false),
                Line::TooLong => (None, true),
            };
            found.push((lines.number(), text, ends));
        }
        found
    }

    fn line(number: u64, text: &str, ends: bool) -> (u64, Option<Vec<u8>>, bool) {
        (number, Some(text.as_bytes().to_vec()), ends)
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over() {
        let lines = all(b"1234\n12345\n\n12345", 4);
        let expected = [
            line(1, "1234", true),
            (2, None, true),
            line(3, "", true),
            (4, None, true),
        ];
        assert_eq!(lines, expected);
        assert_eq!(all(b"1234", 4), [line(1, "1234", false)]);
        assert_eq!(all(b"", 4), []);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn lines_are_those_of_the_bytes(bytes in proptest::collection::vec(0_u8..14, 0..60), limit in 0_usize..9) {
            let mut expected: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
            if expected.last().is_some_and(|last| last.is_empty()) {
                expected.pop();
            }
            let lines = all(&bytes, limit);
            prop_assert_eq!(lines.len(), expected.len());
            for ((number, line, ends), (position, text)) in lines.into_iter().zip(expected.iter().enumerate()) {
                prop_assert_eq!(number, position as u64 + 1);
                let fits = text.len() <= limit;
                prop_assert_eq!(line.as_deref(), fits.then_some(*text));
                let last = position + 1 == expected.len() && bytes.last() != Some(&b'\n');
                prop_assert_eq!(ends, !last || !fits);
            }
        }
    }
}
