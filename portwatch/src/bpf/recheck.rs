//! Whether `TIME_WAIT`s are still there, from the `recheck` program.

use std::io;

use portwatch_common::{
    event::time_wait::{Recheck, Rechecked},
    maps::RECHECKS,
};
use zerocopy::FromBytes;

use super::{iterators::Iterators, shared::Shared};

/// Name of the program in the object.
pub const PROGRAM: &str = "recheck";

/// A [`Recheck`], as eight bytes each.
const WORDS: usize = size_of::<Recheck>() / size_of::<u64>();

impl Iterators {
    /// Looks mini-sockets up: a row for each, in their order. One that the kernel side could not look at has none.
    ///
    /// # Errors
    ///
    /// If the kernel refuses, or the program was not loaded.
    pub fn recheck(&mut self, list: &[Recheck]) -> io::Result<Vec<Rechecked>> {
        let mut rows = Vec::with_capacity(list.len());
        for list in list.chunks(RECHECKS) {
            store(&self.rechecks, list);
            let bytes = self.read(PROGRAM)?;
            let mut rest = bytes.as_slice();
            while let Ok((row, tail)) = Rechecked::read_from_prefix(rest) {
                rest = tail;
                rows.push(row);
            }
        }
        Ok(rows)
    }
}

/// Puts a list where the program reads it. One that is shorter than the map ends with a zero address.
fn store(map: &Shared, list: &[Recheck]) {
    let end = (list.len() < RECHECKS).then(Recheck::default);
    for (index, recheck) in list.iter().chain(&end).enumerate() {
        let words: [u64; WORDS] = zerocopy::transmute!(*recheck);
        for (word, value) in words.into_iter().enumerate() {
            map.store(index * WORDS + word, value);
        }
    }
}
