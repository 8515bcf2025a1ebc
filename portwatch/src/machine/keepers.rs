//! What keeps a socket open without a descriptor: a message that has not been received, a thread whose call
//! began before the descriptor was closed, a ring that has it registered.

mod rings;

use std::{collections::BTreeSet, fs};

use portwatch_common::event::keeper::{Message, Waiter, how};

use self::rings::Ring;
use super::clock;
use super::comm;
use crate::bpf::iterators::Iterators;
use portwatch_core::{
    assemble::{KeeperFound, Unheld},
    model::keeper::KeeperHow,
};

/// How long a look is believed.
const FRESH_NS: u64 = 1_000_000_000;

/// The last looks.
#[derive(Debug, Default)]
pub(super) struct Looks {
    socket: Option<Look>,
    rings: Option<Rings>,
}

/// Every `io_uring` that was open. It takes the descriptors of all processes to find them.
#[derive(Debug)]
struct Rings {
    boot_ns: u64,
    found: Vec<Ring>,
}

#[derive(Debug)]
struct Look {
    boot_ns: u64,
    inode: u64,
    keeper: Option<KeeperFound>,
}

impl Looks {
    pub(super) fn find(
        &mut self,
        socket: &Unheld,
        iterators: &mut Iterators,
    ) -> Option<KeeperFound> {
        let answers = |look: &&Look| {
            look.inode == socket.inode && socket.at_boot_ns < look.boot_ns.saturating_add(FRESH_NS)
        };
        if let Some(look) = self.socket.as_ref().filter(answers) {
            return look.keeper.clone();
        }
        let boot_ns = clock::boot_now().unwrap_or(0);
        let keeper = message(socket, iterators)
            .or_else(|| waiter(socket, iterators))
            .or_else(|| rings::registered(socket.inode, self.rings(socket.at_boot_ns)));
        self.socket = Some(Look {
            boot_ns,
            inode: socket.inode,
            keeper: keeper.clone(),
        });
        keeper
    }

    /// Those of after the failure, or of a later one's look: who has fallen behind does not look for each failure again.
    fn rings(&mut self, at_boot_ns: u64) -> &[Ring] {
        if self
            .rings
            .as_ref()
            .is_none_or(|rings| rings.boot_ns < at_boot_ns)
        {
            self.rings = Some(Rings {
                boot_ns: clock::boot_now().unwrap_or(0),
                found: rings::all(),
            });
        }
        self.rings.as_ref().map_or(&[], |rings| &rings.found)
    }
}

fn message(socket: &Unheld, iterators: &mut Iterators) -> Option<KeeperFound> {
    let rows = iterators.messages(socket.port).unwrap_or_default();
    let rows: Vec<&Message> = rows
        .iter()
        .filter(|row| row.holder.socket.inode == socket.inode)
        .collect();
    let Message { holder, sender, .. } = rows.first()?;
    let processes: BTreeSet<u32> = rows.iter().map(|row| row.holder.tgid).collect();
    Some(KeeperFound {
        how: KeeperHow::Message,
        pid: holder.tgid,
        start_boot_ns: holder.start_boot_ns,
        comm: comm(&holder.comm),
        tid: None,
        fd: Some(holder.fd),
        call: None,
        shared: processes.len() > 1,
        sender: (*sender != 0).then_some(*sender),
    })
}

fn waiter(socket: &Unheld, iterators: &mut Iterators) -> Option<KeeperFound> {
    let rows = iterators
        .waiters(socket.sk, socket.inode)
        .unwrap_or_default();
    let row @ Waiter { tgid, tid, .. } = rows.iter().min_by_key(|row| row.how)?;
    let in_ring = row.how == how::IO_URING;
    let call = (!in_ring).then(|| call(*tgid, *tid)).flatten();
    Some(KeeperFound {
        how: if in_ring {
            KeeperHow::IoUring
        } else {
            KeeperHow::Call
        },
        pid: *tgid,
        start_boot_ns: row.start_boot_ns,
        comm: comm(&row.comm),
        tid: (!in_ring).then_some(*tid),
        // Only these have it as an argument.
        fd: call
            .as_ref()
            .filter(|_| row.how == how::CALL)
            .and_then(|call| call.fd),
        call: call.map(|call| call.name.to_owned()),
        shared: rows.len() > 1,
        sender: None,
    })
}

/// A system call that a thread is in.
struct Call {
    name: &'static str,
    /// Its first argument.
    fd: Option<u32>,
}

fn call(pid: u32, tid: u32) -> Option<Call> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{tid}/syscall")).ok()?;
    parse_call(&text)
}

/// `43 0x3 0x0 ...`: the number in decimal, the arguments in hexadecimal; `running` outside of a call.
fn parse_call(text: &str) -> Option<Call> {
    let mut words = text.split_ascii_whitespace();
    let number = words.next()?.parse().ok()?;
    let (name, takes_fd) = name(number)?;
    let argument = words.next().and_then(|word| word.strip_prefix("0x"));
    let fd = argument
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .and_then(|fd| u32::try_from(fd & u64::from(u32::MAX)).ok());
    Some(Call {
        name,
        fd: fd.filter(|_| takes_fd),
    })
}

/// Calls that wait for a socket, and whether its descriptor is their first argument.
fn name(number: i64) -> Option<(&'static str, bool)> {
    let first = |name| Some((name, true));
    let other = |name| Some((name, false));
    match number {
        libc::SYS_accept => first("accept"),
        libc::SYS_accept4 => first("accept4"),
        libc::SYS_connect => first("connect"),
        libc::SYS_recvfrom => first("recvfrom"),
        libc::SYS_recvmsg => first("recvmsg"),
        libc::SYS_recvmmsg => first("recvmmsg"),
        libc::SYS_sendto => first("sendto"),
        libc::SYS_sendmsg => first("sendmsg"),
        libc::SYS_read => first("read"),
        libc::SYS_readv => first("readv"),
        libc::SYS_write => first("write"),
        libc::SYS_writev => first("writev"),
        libc::SYS_ppoll => other("ppoll"),
        libc::SYS_pselect6 => other("pselect6"),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll => other("poll"),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_select => other("select"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_under_way_is_read_with_its_descriptor() {
        let text = format!("{} 0x5 0x0 0x0 0x7ffd 0x1 0x2 0x3", libc::SYS_accept4);
        let call = parse_call(&text).unwrap();
        assert_eq!((call.name, call.fd), ("accept4", Some(5)));
        let text = format!("{} 0x7ffc 0x1", libc::SYS_ppoll);
        assert_eq!(parse_call(&text).unwrap().fd, None);
        assert!(parse_call("running").is_none());
        assert!(parse_call("-1 0x7ffd 0x1").is_none());
    }
}
