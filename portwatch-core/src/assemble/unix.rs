//! Names of the unix family: who has the one that was refused.

use crate::prelude::*;
use crate::words::errno;
use portwatch_common::{
    endpoint::AF_UNIX,
    event::attempt::{self as raw, flag},
};

use super::{Assembler, Surroundings, UnixAsked, UnixDescriptor, attempt::unix_bytes};
use crate::{
    memory::processes::Key,
    model::{
        process::{Holder, Process},
        unix::{UnixName, UnixSocket},
    },
};

impl<S: Surroundings> Assembler<S> {
    /// `None` unless a name was asked for, and in use.
    pub(super) fn unix_name(&mut self, raw: &raw::Attempt) -> Option<UnixName> {
        let refused = raw.errno.cast_signed() == errno::EADDRINUSE
            && raw.op == raw::op::BIND
            && raw.requested.family == AF_UNIX;
        let bytes = unix_bytes(raw);
        let is_abstract = *bytes.first()? == 0;
        if !refused {
            return None;
        }
        let end = bytes.iter().position(|&byte| byte == 0 && !is_abstract);
        let known = raw.flags & flag::NO_SOCKET == 0;
        let found = self.surroundings.unix_name(&UnixAsked {
            pid: raw.task.tgid,
            start_boot_ns: raw.task.start_boot_ns,
            name: &bytes[..end.unwrap_or(bytes.len())],
            socket_type: raw.socket.socket_type,
            netns: known.then_some(raw.socket.netns),
            at_boot_ns: raw.header.boot_ns,
        });
        Some(UnixName {
            is_abstract,
            file: found.file,
            served: found.served,
            sockets: self.unix_sockets(&found.open),
        })
    }

    /// Once each, those that listen first.
    fn unix_sockets(&mut self, open: &[UnixDescriptor]) -> Vec<UnixSocket> {
        let mut sockets: Vec<UnixSocket> = Vec::new();
        for open in open {
            let holder = Holder {
                process: self.unix_opener(open),
                fd: open.fd,
            };
            match sockets.iter_mut().find(|socket| socket.inode == open.inode) {
                Some(socket) => socket.holders.push(holder),
                None => sockets.push(UnixSocket {
                    listening: open.listening,
                    inode: open.inode,
                    holders: vec![holder],
                }),
            }
        }
        for socket in &mut sockets {
            // The oldest first: a master before its workers.
            socket
                .holders
                .sort_by_key(|holder| holder.process.start_boot_ns);
        }
        sockets.sort_by_key(|socket| !socket.listening);
        sockets
    }

    fn unix_opener(&mut self, open: &UnixDescriptor) -> Process {
        self.known(open.pid, open.start_boot_ns, &open.comm)
    }

    /// A process that was met now, with everything that is known of it.
    pub(super) fn known(&mut self, pid: u32, start_boot_ns: u64, comm: &str) -> Process {
        self.learn(pid, start_boot_ns, comm);
        let key = Key::new(pid, start_boot_ns);
        let mut process = self
            .memory
            .processes
            .get(key)
            .map(|known| known.process.clone())
            .unwrap_or_default();
        // The name may have been changed since the image was recorded.
        comm.clone_into(&mut process.comm);
        self.surroundings.complete(&mut process);
        process
    }
}
