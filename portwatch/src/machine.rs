//! The one room for asking the machine: what the core asks about it ([`Surroundings`]), looked up and kept for a moment.
//!
//! Sockets and who has them: `snapshot`, `keepers`, `unix` (and the iterators of [`crate::bpf`]). Processes: `process`,
//! `cgroup` (units and containers), `user`, `complete`. Names: `netns`, `networks`, `device`, `socket_unit`. The machine
//! itself: `host`, `clock`. All of it is best effort: what cannot be found out is `None`.

pub mod cgroup;
pub mod clock;
pub mod complete;
pub mod device;
pub mod host;
mod keepers;
pub mod netns;
pub mod networks;
pub mod process;
pub mod snapshot;
pub mod socket_unit;
mod unix;
pub mod user;

use std::{
    collections::{BTreeSet, HashMap},
    fmt, io,
    net::IpAddr,
    os::unix::fs::MetadataExt,
};

use portwatch_common::event::{
    holder::Holder,
    time_wait::{Recheck, Rechecked},
};

use self::{
    device::device_name,
    networks::Networks,
    process::{read_process, started},
    socket_unit::SocketUnits,
    user::Users,
};
use crate::bpf::iterators::Iterators;
use portwatch_core::{
    assemble::{Descriptor, KeeperFound, Managed, Surroundings, Unheld, UnixAsked, UnixFound},
    memory::processes::Key,
    model::process::{Container, Process},
};

/// `IPPROTO_UDP` and `IPPROTO_UDPLITE`.
const UDP: [u16; 2] = [17, 136];
/// How long a look at who has a socket open is believed.
const FRESH_NS: u64 = 1_000_000_000;
/// Key of a look at every port.
const ANY_PORT: u16 = 0;
/// Ports whose look-ups are kept.
const PORTS: usize = 1024;

/// Looks things up for the assembler.
pub struct Machine {
    holders: Source,
    users: Users,
    looks: HashMap<u16, Look>,
    netns_names: netns::Names,
    networks: Networks,
    socket_units: SocketUnits,
    ticks_per_second: u64,
    sees_all_processes: bool,
    unix_names: unix::Looks,
    keepers: keepers::Looks,
}

/// Where open sockets are looked up.
enum Source {
    /// The iterators.
    Iterators(Box<Iterators>),
    /// `/proc`, where they are not available.
    Proc,
}

/// Who had sockets of a port open, a moment ago.
struct Look {
    boot_ns: u64,
    descriptors: Vec<Descriptor>,
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("looks", &self.looks.len())
            .finish_non_exhaustive()
    }
}

impl Machine {
    /// With the iterators, or through `/proc`.
    ///
    /// # Errors
    ///
    /// If the kernel's clock tick cannot be asked for.
    pub fn new(iterators: Option<Iterators>) -> io::Result<Self> {
        let holders = match iterators {
            Some(iterators) => Source::Iterators(Box::new(iterators)),
            None => Source::Proc,
        };
        Ok(Self {
            holders,
            users: Users::default(),
            looks: HashMap::new(),
            netns_names: netns::Names::default(),
            networks: Networks::default(),
            socket_units: SocketUnits::default(),
            ticks_per_second: clock::ticks_per_second()?,
            sees_all_processes: sees_all_processes(),
            unix_names: unix::Looks::default(),
            keepers: keepers::Looks::default(),
        })
    }

    /// Every open IP socket that has `port` (0: any), in every namespace that can be seen.
    ///
    /// # Errors
    ///
    /// If the iterator or `/proc` cannot be read.
    pub fn open_sockets(&mut self, port: u16) -> io::Result<OpenSockets> {
        match &mut self.holders {
            Source::Iterators(iterators) => {
                let rows = iterators.holders(port)?;
                let descriptors = rows.iter().map(descriptor).collect();
                Ok(OpenSockets { descriptors, rows })
            }
            Source::Proc => Ok(OpenSockets {
                descriptors: snapshot::open_sockets(port),
                rows: Vec::new(),
            }),
        }
    }

    /// Looks, and keeps what was seen. It is dated before the look: what changes meanwhile may be missing in it.
    fn look(&mut self, port: u16) -> &[Descriptor] {
        let boot_ns = clock::boot_now().unwrap_or(0);
        let Ok(OpenSockets { descriptors, .. }) = self.open_sockets(port) else {
            self.looks.remove(&port);
            return &[];
        };
        if self.looks.len() >= PORTS {
            self.looks.clear();
        }
        self.looks.insert(
            port,
            Look {
                boot_ns,
                descriptors,
            },
        );
        self.looks.get(&port).map_or(&[], |look| &look.descriptors)
    }
}

/// True in the initial pid namespace (`PROC_PID_INIT_INO`), if `/proc` hides nothing: init can be read.
fn sees_all_processes() -> bool {
    const INITIAL: u64 = 0xEFFF_FFFC;
    std::fs::metadata("/proc/self/ns/pid").is_ok_and(|namespace| namespace.ino() == INITIAL)
        && read_process(1).is_some()
}

/// Open sockets, in both forms.
#[derive(Debug)]
pub struct OpenSockets {
    /// For the assembler.
    pub descriptors: Vec<Descriptor>,
    /// As the kernel gave them; empty if they come from `/proc`.
    pub rows: Vec<Holder>,
}

fn descriptor(row: &Holder) -> Descriptor {
    Descriptor {
        pid: row.tgid,
        start_boot_ns: row.start_boot_ns,
        comm: comm(&row.comm),
        fd: row.fd,
        inode: row.socket.inode,
        netns: row.socket.netns,
        port: row.socket.local.port,
        udp: UDP.contains(&row.socket.protocol),
    }
}

/// A name that the kernel keeps in a fixed field.
fn comm(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0);
    String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]).into_owned()
}

/// True if both are starts of one process.
fn same(pid: u32, start_boot_ns: u64, other_boot_ns: u64) -> bool {
    Key::new(pid, start_boot_ns) == Key::new(pid, other_boot_ns)
}

impl Surroundings for Machine {
    fn holders(
        &mut self,
        netns: u32,
        port: u16,
        inodes: &[u64],
        at_boot_ns: u64,
    ) -> Vec<Descriptor> {
        let known = |descriptors: &[Descriptor]| -> Vec<Descriptor> {
            let wanted = |open: &&Descriptor| open.netns == netns && inodes.contains(&open.inode);
            descriptors.iter().filter(wanted).cloned().collect()
        };
        if let Some(look) = self.looks.get(&port)
            && at_boot_ns < look.boot_ns.saturating_add(FRESH_NS)
        {
            let found = known(&look.descriptors);
            // A look that was made after the failure is as good as another one. An older one serves if it knows every
            // socket, and if all that it says is still so.
            if at_boot_ns < look.boot_ns
                || (inodes
                    .iter()
                    .all(|inode| found.iter().any(|open| open.inode == *inode))
                    && found.iter().all(is_open))
            {
                return found;
            }
        }
        known(self.look(port))
    }

    fn open_sockets(&mut self, netns: u32, at_boot_ns: u64) -> Vec<Descriptor> {
        let is_fresh = |look: &Look| at_boot_ns < look.boot_ns.saturating_add(FRESH_NS);
        if !self.looks.get(&ANY_PORT).is_some_and(is_fresh) {
            self.look(ANY_PORT);
        }
        let open = self
            .looks
            .get(&ANY_PORT)
            .map_or(&[][..], |look| &look.descriptors);
        open.iter()
            .filter(|open| open.netns == netns)
            .cloned()
            .collect()
    }

    fn process(&mut self, pid: u32, start_boot_ns: u64) -> Option<Process> {
        let process = read_process(pid)?;
        let start = process.start_boot_ns?.0;
        (Key::new(pid, start) == Key::new(pid, start_boot_ns)).then_some(process)
    }

    fn is_alive(&mut self, pid: u32, start_boot_ns: u64) -> Option<bool> {
        if started(pid).is_some_and(|start| Key::new(pid, start) == Key::new(pid, start_boot_ns)) {
            return Some(true);
        }
        // Elsewhere a process that is not shown may live all the same.
        self.sees_all_processes.then_some(false)
    }

    fn closes_on_exec(&mut self, pid: u32, start_boot_ns: u64, fd: u32) -> Option<bool> {
        let closes = process::closes_on_exec(pid, fd)?;
        // Read first: the pid may be another one's by now.
        let key = Key::new(pid, start_boot_ns);
        started(pid)
            .is_some_and(|start| Key::new(pid, start) == key)
            .then_some(closes)
    }

    fn complete(&mut self, process: &mut Process) {
        complete::complete(process, &mut self.users);
    }

    fn device(&mut self, index: u32, netns: u32) -> Option<String> {
        device_name(index, netns)
    }

    fn netns_name(&mut self, netns: u32, cookie: Option<u64>) -> Option<String> {
        self.netns_names.name(netns, cookie)
    }

    fn container_at(&mut self, addr: IpAddr, port: u16, from: Option<u32>) -> Option<Container> {
        let (inode, network) = self.networks.at(addr, from)?;
        if let Some(container) = network.container() {
            return Some(container);
        }
        // A pod: the one that serves the port is meant.
        let serving: BTreeSet<u32> = self
            .look(port)
            .iter()
            .filter(|open| open.netns == inode)
            .map(|open| open.pid)
            .collect();
        self.networks.of(inode)?.container_of(&serving)
    }

    fn container_in(
        &mut self,
        member: Option<u32>,
        relay: u32,
        from: Option<u32>,
    ) -> Option<Container> {
        let inode = match member {
            Some(member) => netns::of_process(member)?,
            None => networks::opened_by(relay)?,
        };
        if Some(inode) == from {
            return None;
        }
        self.networks.of(inode)?.container()
    }

    fn socket_unit(&mut self, pid: u32, socket: Managed) -> Option<String> {
        // The manager that is asked is the one of the machine.
        (pid == 1 && self.sees_all_processes)
            .then(|| self.socket_units.unit(socket))
            .flatten()
    }

    fn ticks_per_second(&self) -> u64 {
        self.ticks_per_second
    }

    fn recheck(&mut self, list: &[Recheck]) -> Vec<Rechecked> {
        match &mut self.holders {
            Source::Iterators(iterators) => iterators.recheck(list).unwrap_or_default(),
            // `/proc` knows no mini-socket by its address.
            Source::Proc => Vec::new(),
        }
    }

    fn unix_name(&mut self, asked: &UnixAsked<'_>) -> UnixFound {
        let iterators = match &mut self.holders {
            Source::Iterators(iterators) => Some(&mut **iterators),
            Source::Proc => None,
        };
        self.unix_names
            .find(asked, iterators, self.sees_all_processes)
    }

    fn keeper(&mut self, socket: &Unheld) -> Option<KeeperFound> {
        match &mut self.holders {
            // Only who sees every process, and has looked, knows that none has a descriptor.
            Source::Iterators(iterators)
                if self.sees_all_processes && self.looks.contains_key(&socket.port) =>
            {
                self.keepers.find(socket, iterators)
            }
            _ => None,
        }
    }

    fn living(&mut self, pid: u32) -> Option<Process> {
        read_process(pid)
    }

    fn suspended_ns(&self) -> u64 {
        clock::suspended().unwrap_or(0)
    }
}

/// True if the process still has the socket open at that descriptor.
fn is_open(open: &Descriptor) -> bool {
    let link = format!("/proc/{}/fd/{}", open.pid, open.fd);
    std::fs::read_link(link)
        .is_ok_and(|target| target.as_os_str() == format!("socket:[{}]", open.inode).as_str())
}
