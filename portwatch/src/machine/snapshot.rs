//! Open sockets through `/proc`, for kernels that do not have the iterator: slower, and it sees only processes of our
//! own pid namespace.

use std::{
    collections::{HashMap, HashSet},
    os::unix::fs::MetadataExt,
};

use procfs::process::{FDTarget, Process, all_processes};

use portwatch_core::assemble::Descriptor;

/// A bound socket of a namespace.
#[derive(Clone, Copy)]
struct Bound {
    port: u16,
    netns: u32,
    udp: bool,
}

/// Every open TCP and UDP socket that has `port` (0: any port).
#[must_use]
pub fn open_sockets(port: u16) -> Vec<Descriptor> {
    let Ok(processes) = all_processes() else {
        return Vec::new();
    };
    let processes: Vec<Process> = processes.flatten().collect();
    let bound = bound_sockets(&processes, port);
    processes
        .iter()
        .flat_map(|process| descriptors(process, &bound))
        .collect()
}

/// By inode. Each namespace is read once, through a process that is in it. A socket that is bound and does not listen is
/// not in these tables.
fn bound_sockets(processes: &[Process], port: u16) -> HashMap<u64, Bound> {
    let mut seen = HashSet::new();
    let mut bound = HashMap::new();
    for process in processes {
        let Some(netns) = netns(process) else {
            continue;
        };
        if !seen.insert(netns) {
            continue;
        }
        let tcp = process
            .tcp()
            .into_iter()
            .flatten()
            .chain(process.tcp6().into_iter().flatten());
        for entry in tcp {
            let socket = Bound {
                port: entry.local_address.port(),
                netns,
                udp: false,
            };
            bound.insert(entry.inode, socket);
        }
        let udp = process
            .udp()
            .into_iter()
            .flatten()
            .chain(process.udp6().into_iter().flatten());
        for entry in udp {
            let socket = Bound {
                port: entry.local_address.port(),
                netns,
                udp: true,
            };
            bound.insert(entry.inode, socket);
        }
    }
    bound.retain(|&inode, socket| inode != 0 && (port == 0 || socket.port == port));
    bound
}

fn netns(process: &Process) -> Option<u32> {
    let path = format!("/proc/{}/ns/net", process.pid());
    u32::try_from(std::fs::metadata(path).ok()?.ino()).ok()
}

fn descriptors(process: &Process, bound: &HashMap<u64, Bound>) -> Vec<Descriptor> {
    let (Ok(stat), Ok(fds)) = (process.stat(), process.fd()) else {
        return Vec::new();
    };
    let ticks = procfs::ticks_per_second().max(1);
    let open = |fd: procfs::process::FDInfo| {
        let FDTarget::Socket(inode) = fd.target else {
            return None;
        };
        let socket = bound.get(&inode)?;
        Some(Descriptor {
            pid: u32::try_from(process.pid()).ok()?,
            start_boot_ns: stat.starttime.saturating_mul(1_000_000_000 / ticks),
            comm: stat.comm.clone(),
            fd: u32::try_from(fd.fd).ok()?,
            inode,
            netns: socket.netns,
            port: socket.port,
            udp: socket.udp,
        })
    };
    fds.flatten().filter_map(open).collect()
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, os::fd::AsRawFd};

    use super::*;

    #[test]
    fn our_own_listener_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let open = open_sockets(port);
        let own: Vec<_> = open
            .iter()
            .filter(|open| open.pid == std::process::id())
            .collect();
        assert_eq!(own.len(), 1, "{open:?}");
        assert_eq!(own[0].fd, u32::try_from(listener.as_raw_fd()).unwrap());
        assert_eq!(own[0].port, port);
    }
}
