//! What the assembler asks about the machine.

use crate::prelude::*;
use core::{fmt::Debug, net::IpAddr};

use portwatch_common::event::time_wait::{Recheck, Rechecked};

use super::Managed;
use crate::model::{
    keeper::KeeperHow,
    process::{Container, Process},
    unix::FileKind,
};

/// An open socket that has a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Process that has it open.
    pub pid: u32,
    /// Start of the process: `CLOCK_BOOTTIME`, ns.
    pub start_boot_ns: u64,
    /// Its name.
    pub comm: String,
    /// The descriptor.
    pub fd: u32,
    /// Inode of the socket.
    pub inode: u64,
    /// Inode of the socket's network namespace.
    pub netns: u32,
    /// The port.
    pub port: u16,
    /// UDP or UDP-Lite; else TCP or another protocol.
    pub udp: bool,
}

/// A name of the unix family that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnixAsked<'a> {
    /// Process that asked for it: a path is looked at as it sees it.
    pub pid: u32,
    /// Start of the process: `CLOCK_BOOTTIME`, ns.
    pub start_boot_ns: u64,
    /// The name's bytes: a path without its NUL, or NUL and an abstract name.
    pub name: &'a [u8],
    /// `SOCK_*` type of its socket: an abstract name belongs to one socket of a type.
    pub socket_type: u16,
    /// Inode of its network namespace; `None` where that is not known.
    pub netns: Option<u32>,
    /// When it was refused: `CLOCK_BOOTTIME`, ns.
    pub at_boot_ns: u64,
}

/// Who has a name of the unix family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnixFound {
    /// What is at the path; `None` for an abstract name, and where that cannot be seen.
    pub file: Option<FileKind>,
    /// Whether a process has a socket of that name open; `None` where that is not known.
    pub served: Option<bool>,
    /// Their descriptors.
    pub open: Vec<UnixDescriptor>,
}

/// An open socket of the unix family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixDescriptor {
    /// Process that has it open.
    pub pid: u32,
    /// Start of the process: `CLOCK_BOOTTIME`, ns.
    pub start_boot_ns: u64,
    /// Its name.
    pub comm: String,
    /// The descriptor.
    pub fd: u32,
    /// Inode of the socket.
    pub inode: u64,
    /// It listens.
    pub listening: bool,
}

/// A socket with a file, and without a descriptor in any process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unheld {
    /// Its address in the kernel.
    pub sk: u64,
    /// Its inode.
    pub inode: u64,
    /// Its port.
    pub port: u16,
    /// When the question arose: `CLOCK_BOOTTIME`, ns.
    pub at_boot_ns: u64,
}

/// What keeps such a socket open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeeperFound {
    /// What it is.
    pub how: KeeperHow,
    /// Process that keeps it: see [`Keeper`](crate::model::keeper::Keeper).
    pub pid: u32,
    /// Start of the process: `CLOCK_BOOTTIME`, ns.
    pub start_boot_ns: u64,
    /// Its name.
    pub comm: String,
    /// The thread.
    pub tid: Option<u32>,
    /// The descriptor.
    pub fd: Option<u32>,
    /// The system call.
    pub call: Option<String>,
    /// Others keep it too.
    pub shared: bool,
    /// Process id of the sender, who lives.
    pub sender: Option<u32>,
}

/// Look-ups, all best effort.
pub trait Surroundings: Debug {
    /// Who has a socket open whose inode is among `inodes`, looked up now or a moment ago; `at_boot_ns` is when the
    /// question arose. `port` and `netns` narrow the search.
    fn holders(
        &mut self,
        netns: u32,
        port: u16,
        inodes: &[u64],
        at_boot_ns: u64,
    ) -> Vec<Descriptor>;

    /// Every open socket of a namespace that has a port, looked up now or a moment ago.
    fn open_sockets(&mut self, netns: u32, at_boot_ns: u64) -> Vec<Descriptor>;

    /// A process that lives, with everything that is known of it; `None` if it is gone or is another one by now.
    fn process(&mut self, pid: u32, start_boot_ns: u64) -> Option<Process>;

    /// Whether a process lives; `None` where that cannot be seen.
    fn is_alive(&mut self, pid: u32, start_boot_ns: u64) -> Option<bool>;

    /// Whether a descriptor is closed when its process executes a program; `None` where that cannot be seen.
    fn closes_on_exec(&mut self, _pid: u32, _start_boot_ns: u64, _fd: u32) -> Option<bool> {
        None
    }

    /// Fills in what follows from the rest: user name, unit, container.
    fn complete(&mut self, process: &mut Process);

    /// Name of a network interface.
    fn device(&mut self, index: u32, netns: u32) -> Option<String>;

    /// The name of a network namespace: of the one with this cookie, where the kernel has given it one.
    fn netns_name(&mut self, netns: u32, cookie: Option<u64>) -> Option<String>;

    /// The container that has this address, and serves this port, in another namespace than `from`; `None` if more than
    /// one may be meant.
    fn container_at(&mut self, addr: IpAddr, port: u16, from: Option<u32>) -> Option<Container>;

    /// The one container of the network namespace that process `member` is in, or else of the one that process `relay`
    /// has open; `None` for the namespace `from`.
    fn container_in(
        &mut self,
        member: Option<u32>,
        relay: u32,
        from: Option<u32>,
    ) -> Option<Container>;

    /// The unit that the service manager `pid` has this socket for.
    fn socket_unit(&mut self, pid: u32, socket: Managed) -> Option<String>;

    /// Frequency of the kernel's clock tick (`CONFIG_HZ`).
    fn ticks_per_second(&self) -> u64;

    /// Looks at `TIME_WAIT`s: a row for each that could be looked at, in their order.
    fn recheck(&mut self, list: &[Recheck]) -> Vec<Rechecked>;

    /// Who has a name of the unix family.
    fn unix_name(&mut self, asked: &UnixAsked<'_>) -> UnixFound;

    /// What keeps a socket open without a descriptor; `None` where nothing is proven.
    fn keeper(&mut self, socket: &Unheld) -> Option<KeeperFound>;

    /// A process that has this pid now.
    fn living(&mut self, pid: u32) -> Option<Process>;

    /// How long the machine has been suspended since it booted, in ns.
    fn suspended_ns(&self) -> u64;
}
