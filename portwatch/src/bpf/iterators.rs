//! Programs that run when they are read.

use std::io::{self, Read};

use aya::{
    Ebpf,
    programs::{Iter, Program, ProgramError},
};
use portwatch_common::{event::time_wait::Recheck, maps::RECHECKS};

use super::{counters::missing, error::BpfError, shared::Shared};

/// Reads the iterators, as often as wanted.
pub struct Iterators {
    /// The programs: aya gives out an iterator's file only through its program.
    ebpf: Ebpf,
    /// The port that `holders` looks for.
    pub(super) port: Shared,
    /// What `recheck` looks up.
    pub(super) rechecks: Shared,
}

impl Iterators {
    /// Takes the programs.
    ///
    /// # Errors
    ///
    /// If the object lacks a map.
    pub fn new(ebpf: Ebpf) -> Result<Self, BpfError> {
        let shared = |name, len| {
            let map = ebpf.map(name).ok_or_else(|| missing(name))?;
            Shared::new(map, len)
        };
        let port = shared("HOLDER_PORT", 1)?;
        let words = RECHECKS * size_of::<Recheck>() / size_of::<u64>();
        let rechecks = shared("RECHECK", words)?;
        Ok(Self {
            ebpf,
            port,
            rechecks,
        })
    }

    /// Runs a program, and gives what it writes.
    pub(super) fn read(&mut self, program: &str) -> io::Result<Vec<u8>> {
        let Some(Program::Iter(program)) = self.ebpf.program_mut(program) else {
            return Err(io::Error::other("the object has no such iterator"));
        };
        let mut bytes = Vec::new();
        open(program)
            .map_err(io::Error::other)?
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

fn open(program: &mut Iter) -> Result<std::fs::File, ProgramError> {
    let id = program.attach()?;
    let link = program.take_link(id)?;
    link.into_file()
        .map_err(|error| ProgramError::IOError(io::Error::other(error)))
}
