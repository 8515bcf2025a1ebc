//! Every open socket of every process, from the `iter/task_file` program.

use std::io::{self, Read};

use aya::{
    Ebpf,
    programs::{Iter, Program, ProgramError},
};
use portwatch_common::event::holder::Holder;
use zerocopy::FromBytes;

use super::{counters::missing, error::BpfError, shared::Shared};

/// Name of the program in the object.
pub const PROGRAM: &str = "holders";

/// Reads the iterator, as often as wanted.
pub struct Holders {
    /// The programs: aya gives out an iterator's file only through its program.
    ebpf: Ebpf,
    port: Shared,
}

/// What one reading gave.
#[derive(Debug, Default)]
pub struct Rows {
    /// Open sockets.
    pub sockets: Vec<Holder>,
    /// The kernel's clock when the reading began: `CLOCK_BOOTTIME` in ns, and jiffies.
    pub clock: Option<(u64, u64)>,
}

impl Holders {
    /// Takes the programs.
    ///
    /// # Errors
    ///
    /// If the object lacks a map.
    pub fn new(ebpf: Ebpf) -> Result<Self, BpfError> {
        let map = ebpf
            .map("HOLDER_PORT")
            .ok_or_else(|| missing("HOLDER_PORT"))?;
        let port = Shared::new(map, 1)?;
        Ok(Self { ebpf, port })
    }

    /// Every open IP socket that has `port` (0: any port).
    ///
    /// # Errors
    ///
    /// If the kernel refuses, or the program was not loaded.
    pub fn read(&mut self, port: u16) -> io::Result<Rows> {
        self.port.store_u32(0, u32::from(port));
        let Some(Program::Iter(program)) = self.ebpf.program_mut(PROGRAM) else {
            return Err(io::Error::other("the object has no iterator"));
        };
        let mut bytes = Vec::new();
        open(program)
            .map_err(io::Error::other)?
            .read_to_end(&mut bytes)?;
        let mut rows = Rows::default();
        let mut rest = bytes.as_slice();
        while let Ok((row, tail)) = Holder::read_from_prefix(rest) {
            rest = tail;
            if row.socket.sk == 0 {
                rows.clock.get_or_insert((row.boot_ns, row.jiffies));
            } else {
                rows.sockets.push(row);
            }
        }
        Ok(rows)
    }
}

fn open(program: &mut Iter) -> Result<std::fs::File, ProgramError> {
    let id = program.attach()?;
    let link = program.take_link(id)?;
    link.into_file()
        .map_err(|error| ProgramError::IOError(io::Error::other(error)))
}
