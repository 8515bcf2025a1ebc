//! Programs that run when they are read.

use std::{
    io::{self, Read},
    os::fd::{AsRawFd, BorrowedFd},
};

use aya::{
    Ebpf,
    programs::{Iter, Program, ProgramError},
};
use portwatch_common::{
    event::{
        keeper::{Message, Waiter},
        time_wait::Recheck,
        unix::UnixSocket,
    },
    maps::{RECHECKS, query},
};

use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::{counters::missing, error::BpfError, shared::Shared};

/// Reads the iterators, as often as wanted.
pub struct Iterators {
    /// The programs: aya gives out an iterator's file only through its program.
    ebpf: Ebpf,
    /// The port that `holders` looks for.
    pub(super) port: Shared,
    /// What `recheck` looks up.
    pub(super) rechecks: Shared,
    /// What the others look for: places of [`query`].
    query: Shared,
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
        let query = shared("QUERY", query::LEN)?;
        Ok(Self {
            ebpf,
            port,
            rechecks,
            query,
        })
    }

    /// Every open unix socket that shows a name, and the file behind a descriptor of our own.
    ///
    /// # Errors
    ///
    /// If the kernel refuses, or the program was not loaded.
    pub fn unix_sockets(&mut self, file: Option<BorrowedFd<'_>>) -> io::Result<Vec<UnixSocket>> {
        let place = file.map_or(0, |file| i64::from(file.as_raw_fd()) + 1);
        self.query.store(query::FD, place.cast_unsigned());
        self.rows("unix_sockets")
    }

    /// Every IP socket with this port that waits in a message.
    ///
    /// # Errors
    ///
    /// If the kernel refuses, or the program was not loaded.
    pub fn messages(&mut self, port: u16) -> io::Result<Vec<Message>> {
        self.port.store_u32(0, u32::from(port));
        self.rows("messages")
    }

    /// Every thread that waits for a socket, given by its address and its inode.
    ///
    /// # Errors
    ///
    /// If the kernel refuses, or the program was not loaded.
    pub fn waiters(&mut self, sk: u64, inode: u64) -> io::Result<Vec<Waiter>> {
        self.query.store(query::SK, sk);
        self.query.store(query::INODE, inode);
        self.rows("waiters")
    }

    /// Runs a program that writes rows.
    fn rows<Row: FromBytes + KnownLayout + Immutable>(
        &mut self,
        program: &str,
    ) -> io::Result<Vec<Row>> {
        let bytes = self.read(program)?;
        let mut rows = Vec::new();
        let mut rest = bytes.as_slice();
        while let Ok((row, tail)) = Row::read_from_prefix(rest) {
            rest = tail;
            rows.push(row);
        }
        Ok(rows)
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
