//! Rings that have a socket registered, as their `fdinfo` names them (where this kernel does).

use std::{fs, thread, time::Duration};

use procfs::process::{FDTarget, Process, all_processes};

use crate::machine::process::started;
use portwatch_core::{assemble::KeeperFound, model::keeper::KeeperHow};

/// How often a ring is read whose files are not told, and how long it is left alone in between. It is locked for
/// microseconds by who reads it, and longer by who submits to it.
const READS: u32 = 8;
const PAUSE: Duration = Duration::from_millis(1);

/// A descriptor of an `io_uring`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ring {
    pid: u32,
    fd: u32,
}

impl Ring {
    fn read(self) -> Option<String> {
        fs::read_to_string(format!("/proc/{}/fdinfo/{}", self.pid, self.fd)).ok()
    }
}

/// Those that are open.
pub(super) fn all() -> Vec<Ring> {
    let of_process = |process: Process| {
        let fds = process.fd().into_iter().flatten().flatten();
        let rings = fds.filter(
            |fd| matches!(&fd.target, FDTarget::AnonInode(name) if name.contains("io_uring")),
        );
        let pid = process.pid.cast_unsigned();
        rings
            .filter_map(|ring| {
                let fd = u32::try_from(ring.fd).ok()?;
                Some(Ring { pid, fd })
            })
            .collect::<Vec<_>>()
    };
    let processes = all_processes().into_iter().flatten().flatten();
    processes.flat_map(of_process).collect()
}

/// A ring that has the socket among its registered files.
pub(super) fn registered(inode: u64, rings: &[Ring]) -> Option<KeeperFound> {
    let has_it = with(inode, rings, Ring::read, || thread::sleep(PAUSE));
    let Ring { pid, fd } = *has_it.first()?;
    Some(KeeperFound {
        how: KeeperHow::IoUring,
        pid,
        start_boot_ns: started(pid)?,
        comm: Process::new(pid.cast_signed()).ok()?.stat().ok()?.comm,
        tid: None,
        fd: Some(fd),
        call: None,
        // The ring may be open elsewhere too.
        shared: has_it.iter().any(|other| other.pid != pid),
        sender: None,
    })
}

/// Those that name the socket. Who did not tell is asked again, until somebody names it.
fn with(
    inode: u64,
    rings: &[Ring],
    read: impl Fn(Ring) -> Option<String>,
    pause: impl Fn(),
) -> Vec<Ring> {
    let mut left = rings.to_vec();
    for _ in 0..READS {
        let told: Vec<(Ring, String)> = left
            .iter()
            .filter_map(|&ring| Some((ring, read(ring)?)))
            .collect();
        let has_it = told.iter().filter(|(_, text)| names(text, inode));
        let has_it: Vec<Ring> = has_it.map(|(ring, _)| *ring).collect();
        left = told
            .into_iter()
            .filter(|(_, text)| !tells_files(text))
            .map(|(ring, _)| ring)
            .collect();
        if !has_it.is_empty() || left.is_empty() {
            return has_it;
        }
        pause();
    }
    Vec::new()
}

/// Files of a ring: `    0: socket:[INODE]`, between the lines `UserFiles` and `UserBufs`.
fn files(fdinfo: &str) -> impl Iterator<Item = &str> {
    let lines = fdinfo
        .lines()
        .skip_while(|line| !line.starts_with("UserFiles:"))
        .skip(1);
    lines.map_while(|line| {
        let (slot, file) = line.trim().split_once(':')?;
        let is_slot = slot.bytes().all(|byte| byte.is_ascii_digit());
        is_slot.then(|| file.trim())
    })
}

fn names(fdinfo: &str, inode: u64) -> bool {
    let wanted = format!("socket:[{inode}]");
    files(fdinfo).any(|file| file == wanted)
}

/// False for a ring that was locked: `io_uring_show_fdinfo` only tries the lock, and without it tells the number of
/// files alone, or (since 6.16) nothing at all. One that has no file in any slot can look like that as well.
fn tells_files(fdinfo: &str) -> bool {
    let mut lines = fdinfo.lines();
    lines.any(|line| line.strip_prefix("UserFiles:").map(str::trim) == Some("0"))
        || files(fdinfo).next().is_some()
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    const TOLD: &str =
        "SqThread:\t-1\nUserFiles:\t2\n    0: socket:[77]\n    1: /tmp/socket:[78]\nUserBufs:\t0\n";
    const LOCKED: &str = "SqThread:\t-1\nUserFiles:\t2\nUserBufs:\t0\nPollList:\n";
    const NO_FILES: &str = "UserFiles:\t0\nUserBufs:\t1\n    0: 0x7f00/4096\n";

    #[test]
    fn a_ring_names_its_files() {
        assert!(names(TOLD, 77));
        assert!(!names(TOLD, 7));
        assert!(!names(TOLD, 78));
        assert!(!names(NO_FILES, 77));
    }

    #[test]
    fn a_locked_ring_does_not_tell_its_files() {
        assert!(tells_files(TOLD));
        assert!(tells_files(NO_FILES));
        assert!(!tells_files(LOCKED));
        assert!(!tells_files(""));
    }

    #[test]
    fn a_locked_ring_is_asked_again() {
        let (locked, other) = (Ring { pid: 1, fd: 3 }, Ring { pid: 2, fd: 3 });
        let pauses = Cell::new(0);
        let asked = RefCell::new(Vec::new());
        let read = |ring: Ring| {
            asked.borrow_mut().push(ring.pid);
            let is_free = ring == other || pauses.get() == 2;
            let text = match (is_free, ring == locked) {
                (false, _) => "",
                (true, true) => TOLD,
                (true, false) => NO_FILES,
            };
            Some(text.to_owned())
        };
        let pause = || pauses.set(pauses.get() + 1);
        assert_eq!(with(77, &[locked, other], read, pause), [locked]);
        assert_eq!(*asked.borrow(), [1, 2, 1, 1]);
    }

    #[test]
    fn a_ring_that_never_tells_is_given_up() {
        let reads = Cell::new(0);
        let read = |_| {
            reads.set(reads.get() + 1);
            Some(LOCKED.to_owned())
        };
        assert_eq!(with(77, &[Ring { pid: 1, fd: 3 }], read, || ()), []);
        assert_eq!(reads.get(), READS);
    }
}
