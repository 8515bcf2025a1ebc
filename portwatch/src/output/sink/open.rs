//! Opening the file of `-o`.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::{FileTypeExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};
use thiserror::Error;

use super::{IfExists, target::Target};
use crate::output::escape::escape;

/// Why a file cannot be the log, and what to do about it.
#[derive(Debug, Error)]
pub enum OpenError {
    /// It exists.
    #[error("{} exists; use --append to add to it, or choose another name", show(.0))]
    Exists(PathBuf),
    /// A link can lead anywhere, and a log may be written with the rights of root.
    #[error("{} is a symbolic link, which portwatch does not follow; name the file itself", show(.0))]
    Symlink(PathBuf),
    /// It exists and is no regular file.
    #[error("{} is {what} and not a regular file; choose another name", show(.path))]
    NotRegular {
        /// The path.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// Two writers would spoil it.
    #[error("{} is being written by another portwatch; choose another name, or stop the other one", show(.0))]
    InUse(PathBuf),
    /// Everything else.
    #[error("cannot write to {}: {source}{}", show(.path), advice(.source))]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Opens or makes `path`.
pub(super) fn open(path: &Path, if_exists: IfExists) -> Result<Target, OpenError> {
    if if_exists == IfExists::Append {
        match append(path) {
            Err(OpenError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            result => return result,
        }
    }
    create(path)
}

fn create(path: &Path) -> Result<Target, OpenError> {
    let file = options()
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => explain_existing(path),
            _ => OpenError::Io {
                path: path.to_owned(),
                source,
            },
        })?;
    Ok(Target::regular(name(path), lock(path, file)?, 0, false))
}

fn append(path: &Path) -> Result<Target, OpenError> {
    let file = options()
        .open(path)
        .map_err(|source| match source.raw_os_error() {
            // O_NOFOLLOW met a link; a directory cannot be written; a fifo, socket or device may have nobody behind it.
            Some(libc::ELOOP | libc::EISDIR | libc::ENXIO | libc::ENODEV) => not_regular(path)
                .unwrap_or(OpenError::Io {
                    path: path.to_owned(),
                    source,
                }),
            _ => OpenError::Io {
                path: path.to_owned(),
                source,
            },
        })?;
    let io = |source| OpenError::Io {
        path: path.to_owned(),
        source,
    };
    let kind = file.metadata().map_err(io)?.file_type();
    if !kind.is_file() {
        return Err(OpenError::NotRegular {
            path: path.to_owned(),
            what: what(kind),
        });
    }
    let mut file = lock(path, file)?;
    // Behind the lock, because the other writer may have been adding to it.
    let len = file.metadata().map_err(io)?.len();
    let mut last = [b'\n'];
    if len > 0 {
        file.seek(SeekFrom::Start(len - 1))
            .and_then(|_| file.read_exact(&mut last))
            .map_err(io)?;
    }
    Ok(Target::regular(name(path), file, len, last != [b'\n']))
}

/// `O_NONBLOCK` keeps the opening of a fifo from waiting for a reader; regular files do not heed it.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .append(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY);
    options
}

fn lock(path: &Path, file: File) -> Result<Flock<File>, OpenError> {
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        Errno::EWOULDBLOCK => OpenError::InUse(path.to_owned()),
        errno => OpenError::Io {
            path: path.to_owned(),
            source: errno.into(),
        },
    })
}

/// Why creating failed: adding is only offered where it would work.
fn explain_existing(path: &Path) -> OpenError {
    not_regular(path).unwrap_or_else(|| OpenError::Exists(path.to_owned()))
}

fn not_regular(path: &Path) -> Option<OpenError> {
    let kind = path.symlink_metadata().ok()?.file_type();
    if kind.is_symlink() {
        return Some(OpenError::Symlink(path.to_owned()));
    }
    (!kind.is_file()).then(|| OpenError::NotRegular {
        path: path.to_owned(),
        what: what(kind),
    })
}

fn what(kind: std::fs::FileType) -> &'static str {
    if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_char_device() || kind.is_block_device() {
        "a device"
    } else {
        "something else"
    }
}

fn name(path: &Path) -> String {
    show(path)
}

fn show(path: &Path) -> String {
    escape(&path.to_string_lossy()).to_string()
}

fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::NotFound => "; create its directory first, or choose another name",
        io::ErrorKind::PermissionDenied => "; choose a place where you may write",
        io::ErrorKind::ReadOnlyFilesystem => "; choose a place on a writable file system",
        io::ErrorKind::StorageFull => "; free some space, or choose another place",
        _ => "",
    }
}
