//! Names of the unix family, and sockets that nobody has a descriptor of.

use super::*;
use crate::words::errno;
use crate::{
    assemble::UnixDescriptor,
    model::{keeper::KeeperHow, unix::FileKind},
};

/// A bind of a unix address, refused with `errno`.
fn unix(address: &[u8], errno: i32) -> raw::Attempt {
    let mut attempt = bind(task(11, 2, "late"), 501, errno.cast_unsigned(), 30);
    attempt.requested = Endpoint {
        family: AF_UNIX,
        ..Endpoint::NONE
    };
    attempt.socket.local = attempt.requested;
    attempt.sockaddr[2..2 + address.len()].copy_from_slice(address);
    attempt.addrlen = u32::try_from(2 + address.len()).unwrap();
    attempt
}

fn told(assembler: &mut Assembler<Fake>, raw: &raw::Attempt) -> Attempt {
    attempt_of(assembler, &Event::Attempt(Box::new(*raw)))
}

fn open(pid: u32, inode: u64, listening: bool) -> UnixDescriptor {
    UnixDescriptor {
        pid,
        start_boot_ns: u64::from(pid) * SECOND,
        comm: "server".to_owned(),
        fd: pid + 1,
        inode,
        listening,
    }
}

#[test]
fn a_name_is_looked_up_only_if_it_is_in_use() {
    let mut assembler = assembler();
    for (address, errno) in [
        (&b"/run/x\0"[..], errno::ENOENT),
        (b"/run/x", 0),
        // The kernel makes a name up.
        (b"", errno::EADDRINUSE),
    ] {
        let attempt = told(&mut assembler, &unix(address, errno));
        let found = attempt.failure.and_then(|failure| failure.unix);
        assert_eq!(found, None);
    }
    assert!(assembler.surroundings.unix_asked.is_empty());
    for address in [&b"/run/x\0rest"[..], b"/run/y", b"\0name\0with nul"] {
        told(&mut assembler, &unix(address, errno::EADDRINUSE));
    }
    assert_eq!(
        assembler.surroundings.unix_asked,
        [&b"/run/x"[..], b"/run/y", b"\0name\0with nul"]
    );
}

#[test]
fn who_has_a_name_is_told_by_socket() {
    let mut assembler = assembler();
    assembler.surroundings.unix = UnixFound {
        file: Some(FileKind::Socket),
        served: Some(true),
        open: vec![open(30, 7, false), open(20, 8, true), open(10, 8, true)],
    };
    let attempt = told(&mut assembler, &unix(b"@path", errno::EADDRINUSE));
    assert_eq!(attempt.addr.as_deref(), Some("@path"));
    let failure = attempt.failure.unwrap();
    assert_eq!(failure.verdict.unwrap().cause, Cause::UnixPath);
    let found = failure.unix.unwrap();
    assert!(!found.is_abstract);
    let holders = |at: usize| -> Vec<u32> {
        let holders = &found.sockets[at].holders;
        holders.iter().map(|holder| holder.process.pid).collect()
    };
    // The listener first, and of its holders the oldest.
    assert_eq!((holders(0), holders(1)), (vec![10, 20], vec![30]));

    let abstract_name = told(&mut assembler, &unix(b"\0name", errno::EADDRINUSE));
    let failure = abstract_name.failure.unwrap();
    assert!(failure.unix.unwrap().is_abstract);
    assert_eq!(failure.verdict.unwrap().cause, Cause::UnixAbstract);
}

fn keeper() -> KeeperFound {
    KeeperFound {
        how: KeeperHow::Message,
        pid: 40,
        start_boot_ns: 4 * SECOND,
        comm: "receiver".to_owned(),
        tid: None,
        fd: Some(9),
        call: None,
        shared: false,
        sender: Some(50),
    }
}

/// An episode in which pid 40 keeps what nobody has, and the only blocker of a refused bind.
fn blocker(open: Vec<Descriptor>, candidate: &Candidate) -> Blocker {
    let mut assembler = assembler();
    assembler.surroundings.keeper = Some(keeper());
    assembler.surroundings.open = open;
    assembler.surroundings.alive.insert(50, 5 * SECOND);
    let refused = refused(&bind(task(11, 2, "late"), 501, 98, 30), &[*candidate]);
    let attempt = attempt_of(&mut assembler, &refused);
    attempt.failure.unwrap().blockers.remove(0)
}

#[test]
fn what_keeps_a_socket_is_told_where_nobody_has_a_descriptor() {
    let kept = blocker(Vec::new(), &bound_by_server()).kept_by.unwrap();
    assert_eq!(
        (kept.how, kept.process.pid, kept.fd),
        (KeeperHow::Message, 40, Some(9))
    );
    assert_eq!(kept.process.comm, "receiver");
    assert_eq!(kept.sender.unwrap().pid, 50);
}

#[test]
fn a_socket_with_a_descriptor_or_without_a_file_is_kept_by_nothing_else() {
    let open = Descriptor {
        pid: 10,
        start_boot_ns: SECOND,
        comm: "server".to_owned(),
        fd: 3,
        inode: 500,
        netns: NETNS,
        port: 8080,
        udp: false,
    };
    assert_eq!(blocker(vec![open], &bound_by_server()).kept_by, None);
    let mut of_the_kernel = bound_by_server();
    of_the_kernel.socket.flags &= !flag::HAS_FILE;
    assert_eq!(blocker(Vec::new(), &of_the_kernel).kept_by, None);
    let mut orphan = bound_by_server();
    orphan.socket.inode = 0;
    assert_eq!(blocker(Vec::new(), &orphan).kept_by, None);
}
