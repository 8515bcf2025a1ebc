//! What keeps a socket open without a descriptor.

use portwatch_common::event::socket::{Socket, flag};

use super::{Assembler, KeeperFound, Surroundings, Unheld, blocker::is_kernel_socket};
use crate::model::{keeper::Keeper, process::Holder};

impl<S: Surroundings> Assembler<S> {
    pub(super) fn kept_by(
        &mut self,
        socket: &Socket,
        holders: &[Holder],
        at_boot_ns: u64,
    ) -> Option<Keeper> {
        let open = flag::HAS_SOCKET | flag::HAS_FILE;
        if !holders.is_empty()
            || socket.inode == 0
            || socket.flags & open != open
            || is_kernel_socket(socket)
        {
            return None;
        }
        let keeper = self.surroundings.keeper(&Unheld {
            sk: socket.sk,
            inode: socket.inode,
            port: socket.local.port,
            at_boot_ns,
        })?;
        Some(self.keeper(keeper))
    }

    fn keeper(&mut self, keeper: KeeperFound) -> Keeper {
        let sender = keeper.sender.and_then(|pid| self.surroundings.living(pid));
        let sender = sender.map(|mut process| {
            self.surroundings.complete(&mut process);
            process
        });
        Keeper {
            how: keeper.how,
            process: self.known(keeper.pid, keeper.start_boot_ns, &keeper.comm),
            tid: keeper.tid,
            fd: keeper.fd,
            call: keeper.call,
            sender,
            shared: keeper.shared,
        }
    }
}
