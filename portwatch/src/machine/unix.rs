//! Who has a name of the unix family: the `unix_sockets` program, and what is at the path.
//!
//! A path is opened as the caller sees it, without touching what it names (`O_PATH`), and the program compares the inode
//! behind that descriptor with those that sockets are bound to: what `unix_find_bsd()` of `net/unix/af_unix.c` does. Names,
//! devices and inode numbers prove nothing across mounts and overlays.

use std::{
    ffi::OsStr,
    io,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::MetadataExt},
    },
};

use nix::{
    errno::Errno,
    fcntl::{OFlag, OpenHow, ResolveFlag, open, openat, openat2},
    sys::stat::Mode,
};
use portwatch_common::event::{
    socket::state,
    unix::{UnixSocket, role},
};
use procfs::process::{FDTarget, Process, all_processes};

use super::{clock, process::started};
use super::{comm, same};
use crate::bpf::iterators::Iterators;
use portwatch_core::{
    assemble::{UnixAsked, UnixDescriptor, UnixFound},
    model::unix::FileKind,
};

/// How often a path is tried that another change of its directory has disturbed.
const TRIES: u32 = 8;

/// The last look at a name: what failed before it needs no other one.
#[derive(Debug, Default)]
pub(super) struct Looks(Option<Look>);

#[derive(Debug)]
struct Look {
    boot_ns: u64,
    pid: u32,
    start_boot_ns: u64,
    name: Vec<u8>,
    socket_type: u16,
    netns: Option<u32>,
    found: UnixFound,
}

impl Looks {
    /// Who has the name. `sees_all_processes`: that nobody was found says that there is nobody.
    pub(super) fn find(
        &mut self,
        asked: &UnixAsked<'_>,
        iterators: Option<&mut Iterators>,
        sees_all_processes: bool,
    ) -> UnixFound {
        let answers = |look: &&Look| {
            asked.at_boot_ns < look.boot_ns
                && (look.pid, look.start_boot_ns) == (asked.pid, asked.start_boot_ns)
                && (look.name.as_slice(), look.socket_type, look.netns)
                    == (asked.name, asked.socket_type, asked.netns)
        };
        if let Some(look) = self.0.as_ref().filter(answers) {
            return look.found.clone();
        }
        let boot_ns = clock::boot_now().unwrap_or(0);
        let found = if asked.name.first() == Some(&0) {
            of_abstract(asked, iterators, sees_all_processes)
        } else {
            of_path(asked, iterators, sees_all_processes)
        };
        self.0 = Some(Look {
            boot_ns,
            pid: asked.pid,
            start_boot_ns: asked.start_boot_ns,
            name: asked.name.to_vec(),
            socket_type: asked.socket_type,
            netns: asked.netns,
            found: found.clone(),
        });
        found
    }
}

fn of_path(
    asked: &UnixAsked<'_>,
    iterators: Option<&mut Iterators>,
    sees_all_processes: bool,
) -> UnixFound {
    let file = match open_as_caller(asked) {
        Ok(file) => file,
        Err(Errno::ENOENT) => return nobody(FileKind::Missing),
        Err(_) => return UnixFound::default(),
    };
    let Some(kind) = kind_of(&file) else {
        return UnixFound::default();
    };
    if kind != FileKind::Socket {
        return nobody(kind);
    }
    let unknown = nobody(kind);
    let Some(rows) = iterators.and_then(|it| it.unix_sockets(Some(file.as_fd())).ok()) else {
        return unknown;
    };
    let ours = rows.iter().find(|row| row.role == role::FILE);
    let Some(inode) = ours.map(|row| row.file).filter(|inode| *inode != 0) else {
        return unknown;
    };
    UnixFound {
        file: Some(kind),
        ..served(&rows, sees_all_processes, |row| row.file == inode)
    }
}

fn nobody(kind: FileKind) -> UnixFound {
    UnixFound {
        file: Some(kind),
        ..UnixFound::default()
    }
}

fn of_abstract(
    asked: &UnixAsked<'_>,
    iterators: Option<&mut Iterators>,
    sees_all_processes: bool,
) -> UnixFound {
    let Some(netns) = asked.netns else {
        return UnixFound::default();
    };
    match iterators.map(|it| it.unix_sockets(None)) {
        Some(Ok(rows)) => served(&rows, sees_all_processes, |row| {
            // Each type can have a name once: the type is a part of the hash.
            row.file == 0
                && row.netns == netns
                && row.socket_type == asked.socket_type
                && row.name.get(..row.name_len as usize) == Some(asked.name)
        }),
        _ => in_proc(asked, netns),
    }
}

/// Those that have the name. Connections that show it do not have it.
fn served(
    rows: &[UnixSocket],
    sees_all_processes: bool,
    matches: impl Fn(&UnixSocket) -> bool,
) -> UnixFound {
    let of = |role| rows.iter().filter(move |row| row.role == role);
    let open: Vec<_> = of(role::NAMED)
        .filter(|row| matches(row))
        .map(descriptor)
        .collect();
    let served = if !open.is_empty() {
        Some(true)
    } else if of(role::UNKNOWN).any(matches) {
        None
    } else {
        sees_all_processes.then_some(false)
    };
    UnixFound {
        file: None,
        served,
        open,
    }
}

fn descriptor(row: &UnixSocket) -> UnixDescriptor {
    UnixDescriptor {
        pid: row.tgid,
        start_boot_ns: row.start_boot_ns,
        comm: comm(&row.comm),
        fd: row.fd,
        inode: row.inode,
        listening: row.state == state::LISTEN,
    }
}

/// The path as its caller sees it, from its root or its directory. Only what the kernel has in memory is looked at, and the
/// caller's bind has just brought it there: no file system of somebody else's is waited for.
fn open_as_caller(asked: &UnixAsked<'_>) -> Result<OwnedFd, Errno> {
    let directory = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let entry = open(
        format!("/proc/{}", asked.pid).as_str(),
        directory,
        Mode::empty(),
    )?;
    let link = |name: &str| openat(&entry, name, directory, Mode::empty());
    let root = link("root");
    let is_relative = asked.name.first() != Some(&b'/');
    let (start, scope) = if is_relative {
        let scope = if shares_our_root(asked.pid) {
            ResolveFlag::empty()
        } else {
            // What leads out of it would lead to our files.
            ResolveFlag::RESOLVE_BENEATH
        };
        (link("cwd"), scope)
    } else {
        (root, ResolveFlag::RESOLVE_IN_ROOT)
    };
    // ENOENT is of the path alone.
    let start = start.map_err(|_| Errno::ESRCH)?;
    if !started(asked.pid).is_some_and(|start| same(asked.pid, start, asked.start_boot_ns)) {
        return Err(Errno::ESRCH);
    }
    let how = |resolve| {
        OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
            .resolve(resolve | ResolveFlag::RESOLVE_NO_MAGICLINKS)
    };
    let name = OsStr::from_bytes(asked.name);
    let cached = ResolveFlag::from_bits_retain(libc::RESOLVE_CACHED);
    let mut outcome = Err(Errno::EAGAIN);
    for _ in 0..TRIES {
        outcome = openat2(&start, name, how(scope | cached));
        if !matches!(outcome, Err(Errno::EAGAIN)) {
            break;
        }
    }
    match outcome {
        // Before 5.12.
        Err(Errno::EINVAL) => openat2(&start, name, how(scope)),
        outcome => outcome,
    }
}

/// True if absolute paths mean the same to a process as to us.
fn shares_our_root(pid: u32) -> bool {
    let place = |process: &str| -> io::Result<_> {
        let root = std::fs::metadata(format!("/proc/{process}/root"))?;
        let namespace = std::fs::read_link(format!("/proc/{process}/ns/mnt"))?;
        Ok((root.dev(), root.ino(), namespace))
    };
    matches!((place("self"), place(&pid.to_string())), (Ok(ours), Ok(theirs)) if ours == theirs)
}

/// What sort of file it is, as far as the kernel knows without asking anybody.
fn kind_of(file: &OwnedFd) -> Option<FileKind> {
    // SAFETY: all-zero bytes are a valid `statx`.
    let mut facts: libc::statx = unsafe { std::mem::zeroed() };
    // SAFETY: the path is a C string, and the result outlives the call.
    let outcome = unsafe {
        libc::statx(
            file.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_STATX_DONT_SYNC,
            libc::STATX_TYPE,
            &raw mut facts,
        )
    };
    if outcome != 0 || facts.stx_mask & libc::STATX_TYPE == 0 {
        return None;
    }
    let kind = u32::from(facts.stx_mode) & libc::S_IFMT;
    Some(if kind == libc::S_IFSOCK {
        FileKind::Socket
    } else {
        FileKind::Other
    })
}

/// An abstract name in the table of its namespace, and who has that socket open. The table shows every name of the
/// namespace, but a name that holds odd bytes in another form.
fn in_proc(asked: &UnixAsked<'_>, netns: u32) -> UnixFound {
    let unknown = UnixFound::default();
    let Ok(name) = std::str::from_utf8(&asked.name[1..]) else {
        return unknown;
    };
    let shown = format!("@{name}");
    let processes: Vec<Process> = all_processes().into_iter().flatten().flatten().collect();
    let is_there = |process: &&Process| {
        std::fs::metadata(format!("/proc/{}/ns/net", process.pid()))
            .is_ok_and(|namespace| namespace.ino() == u64::from(netns))
    };
    let Some(table) = processes
        .iter()
        .find(is_there)
        .and_then(|there| there.unix().ok())
    else {
        return unknown;
    };
    let named = table.iter().find(|entry| {
        entry.path.as_ref().is_some_and(|path| path.as_os_str() == shown.as_str())
            && entry.socket_type == asked.socket_type
            // A connection may only show its listener's name.
            && (entry.socket_type == 2 || entry.state == procfs::net::UnixState::UNCONNECTED)
    });
    let Some(named) = named else {
        return unknown;
    };
    UnixFound {
        file: None,
        served: Some(true),
        open: processes
            .iter()
            .flat_map(|process| descriptors(process, named.inode))
            .collect(),
    }
}

fn descriptors(process: &Process, inode: u64) -> Vec<UnixDescriptor> {
    let (Ok(stat), Ok(fds)) = (process.stat(), process.fd()) else {
        return Vec::new();
    };
    let pid = stat.pid.cast_unsigned();
    let open = |fd: procfs::process::FDInfo| {
        matches!(fd.target, FDTarget::Socket(found) if found == inode)
            .then(|| {
                Some(UnixDescriptor {
                    pid,
                    start_boot_ns: started(pid)?,
                    comm: stat.comm.clone(),
                    fd: u32::try_from(fd.fd).ok()?,
                    inode,
                    listening: false,
                })
            })
            .flatten()
    };
    fds.flatten().filter_map(open).collect()
}
