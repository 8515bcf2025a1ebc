//! What a story asks about the machine it happens on.

use std::fmt::Debug;

use portwatch_common::event::time_wait::{Recheck, Rechecked};

use crate::model::process::Process;

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

    /// Frequency of the kernel's clock tick (`CONFIG_HZ`).
    fn ticks_per_second(&self) -> u64;

    /// Looks at `TIME_WAIT`s: a row for each that could be looked at, in their order.
    fn recheck(&mut self, list: &[Recheck]) -> Vec<Rechecked>;

    /// How long the machine has been suspended since it booted, in ns.
    fn suspended_ns(&self) -> u64;
}
