//! Every open socket of every process, from the `iter/task_file` program.

use std::io;

use portwatch_common::event::holder::Holder;
use zerocopy::FromBytes;

use super::iterators::Iterators;

/// Name of the program in the object.
pub const PROGRAM: &str = "holders";

impl Iterators {
    /// Every open IP socket that has `port` (0: any port).
    ///
    /// # Errors
    ///
    /// If the kernel refuses, or the program was not loaded.
    pub fn holders(&mut self, port: u16) -> io::Result<Vec<Holder>> {
        self.port.store_u32(0, u32::from(port));
        let bytes = self.read(PROGRAM)?;
        let mut rows = Vec::new();
        let mut rest = bytes.as_slice();
        while let Ok((row, tail)) = Holder::read_from_prefix(rest) {
            rest = tail;
            rows.push(row);
        }
        Ok(rows)
    }
}
