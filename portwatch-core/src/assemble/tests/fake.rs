//! A machine whose answers are set by the test.

use crate::prelude::*;
use core::net::IpAddr;
use std::collections::HashMap;

use portwatch_common::event::time_wait::{Recheck, Rechecked};

use crate::{
    assemble::{Descriptor, KeeperFound, Managed, Surroundings, Unheld, UnixAsked, UnixFound},
    model::process::{Container, Process},
};

/// A machine whose answers are set by the test.
#[derive(Debug, Default)]
pub(super) struct Fake {
    pub(super) open: Vec<Descriptor>,
    pub(super) alive: HashMap<u32, u64>,
    pub(super) rechecked: Vec<Rechecked>,
    /// Executable and arguments, by pid.
    pub(super) programs: HashMap<u32, Vec<&'static str>>,
    /// Names of namespaces, by cookie.
    pub(super) netns_names: HashMap<u64, &'static str>,
    /// Containers, by address and port, and by the relay that has their namespace open.
    pub(super) containers: HashMap<(IpAddr, u16), &'static str>,
    pub(super) containers_open: HashMap<u32, &'static str>,
    /// Units of the service manager's sockets.
    pub(super) socket_units: Vec<(Managed, &'static str)>,
    pub(super) suspended_ns: u64,
    /// Descriptors that are not closed on exec, by process.
    pub(super) stay_open: Vec<(u32, u32)>,
    pub(super) unix: UnixFound,
    /// The names that were asked for.
    pub(super) unix_asked: Vec<Vec<u8>>,
    pub(super) keeper: Option<KeeperFound>,
}

impl Surroundings for Fake {
    fn holders(&mut self, netns: u32, port: u16, inodes: &[u64], _at: u64) -> Vec<Descriptor> {
        let wanted = |open: &&Descriptor| {
            open.netns == netns && open.port == port && inodes.contains(&open.inode)
        };
        self.open.iter().filter(wanted).cloned().collect()
    }

    fn open_sockets(&mut self, netns: u32, _at: u64) -> Vec<Descriptor> {
        self.open
            .iter()
            .filter(|open| open.netns == netns)
            .cloned()
            .collect()
    }

    fn process(&mut self, pid: u32, start_boot_ns: u64) -> Option<Process> {
        let start = *self.alive.get(&pid)?;
        let program = self.programs.get(&pid);
        let cmdline = program.map(|words| words.iter().copied().map(str::to_owned).collect());
        (start == start_boot_ns).then(|| Process {
            pid,
            comm: format!("live{pid}"),
            exe: program.map(|words| words[0].to_owned()),
            cmdline,
            start_boot_ns: Some(start.into()),
            ..Process::default()
        })
    }

    fn is_alive(&mut self, pid: u32, start_boot_ns: u64) -> Option<bool> {
        Some(self.alive.get(&pid) == Some(&start_boot_ns))
    }

    fn closes_on_exec(&mut self, pid: u32, _start: u64, fd: u32) -> Option<bool> {
        Some(!self.stay_open.contains(&(pid, fd)))
    }

    fn complete(&mut self, _process: &mut Process) {}

    fn device(&mut self, _index: u32, _netns: u32) -> Option<String> {
        None
    }

    fn netns_name(&mut self, _netns: u32, cookie: Option<u64>) -> Option<String> {
        self.netns_names.get(&cookie?).map(ToString::to_string)
    }

    fn container_at(&mut self, addr: IpAddr, port: u16, _from: Option<u32>) -> Option<Container> {
        self.containers.get(&(addr, port)).map(docker)
    }

    fn container_in(
        &mut self,
        _member: Option<u32>,
        relay: u32,
        _from: Option<u32>,
    ) -> Option<Container> {
        self.containers_open.get(&relay).map(docker)
    }

    fn socket_unit(&mut self, pid: u32, socket: Managed) -> Option<String> {
        let mut known = self.socket_units.iter();
        let (_, unit) = known.find(|(known, _)| pid == 1 && *known == socket)?;
        Some((*unit).to_owned())
    }

    fn ticks_per_second(&self) -> u64 {
        250
    }

    fn recheck(&mut self, list: &[Recheck]) -> Vec<Rechecked> {
        let row = |asked: &Recheck| self.rechecked.iter().find(|row| row.tw == asked.tw);
        list.iter().filter_map(row).copied().collect()
    }

    fn unix_name(&mut self, asked: &UnixAsked<'_>) -> UnixFound {
        self.unix_asked.push(asked.name.to_vec());
        self.unix.clone()
    }

    fn keeper(&mut self, _socket: &Unheld) -> Option<KeeperFound> {
        self.keeper.clone()
    }

    fn living(&mut self, pid: u32) -> Option<Process> {
        let start = *self.alive.get(&pid)?;
        self.process(pid, start)
    }

    fn suspended_ns(&self) -> u64 {
        self.suspended_ns
    }
}

fn docker(id: &&str) -> Container {
    Container {
        id: (*id).to_owned(),
        runtime: Some("docker".to_owned()),
        pod: None,
    }
}
