//! Opening the file of `-o`.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};
use thiserror::Error;

use super::{
    IfExists,
    tail::{self, Tail},
    target::Target,
};
use portwatch_core::words::escape::escape;

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
    /// The name was free, and another file has it now.
    #[error(
        "{} is another file now, and it is not empty; move it away, or use --append to add to what is there",
        show(.0)
    )]
    Occupied(PathBuf),
    /// Everything else.
    #[error("cannot write to {}: {source}{}", show(.path), advice(.source))]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl OpenError {
    fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    /// Why, without what could have been done at the beginning.
    pub(super) fn why(&self) -> String {
        match self {
            Self::Io { source, .. } => source.to_string(),
            other => other.to_string(),
        }
    }

    /// There is no such file.
    fn is_absence(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// A file that can be written to.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) target: Target,
    /// How long ago it was made, where that is known.
    pub(super) age: Duration,
    /// What was wrong with its end.
    pub(super) repair: Option<Repair>,
}

/// A file that was added to did not end with a whole line: whoever wrote it was killed, or the machine crashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repair {
    /// The half record at its end was cut off.
    Cut {
        /// The file, for messages.
        name: String,
        /// How long it was.
        bytes: u64,
    },
    /// What is added begins on a new line.
    NewLine {
        /// The file, for messages.
        name: String,
    },
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut { name, bytes } => write!(
                f,
                "{name} ended in the middle of a record, as after a crash; its {bytes} bytes were cut off"
            ),
            Self::NewLine { name } => write!(
                f,
                "{name} did not end with a whole line, as after a crash; what is added begins on a new one"
            ),
        }
    }
}

/// Opens or makes `path`.
pub(super) fn open(path: &Path, if_exists: IfExists, json: bool) -> Result<Opened, OpenError> {
    if if_exists == IfExists::Append {
        match append(path, true, json) {
            Err(error) if error.is_absence() => {}
            result => return result,
        }
    }
    create(path)
}

/// Opens or makes `path`, from which the file was moved or removed. An empty file that is there now was made for us.
pub(super) fn again(path: &Path, if_exists: IfExists, json: bool) -> Result<Opened, OpenError> {
    match append(path, if_exists == IfExists::Append, json) {
        Err(error) if error.is_absence() => create(path),
        result => result,
    }
}

fn create(path: &Path) -> Result<Opened, OpenError> {
    let file = options()
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => explain_existing(path),
            _ => OpenError::io(path, source),
        })?;
    Ok(Opened {
        target: Target::regular(show(path), lock(path, file)?, 0, false),
        age: Duration::ZERO,
        repair: None,
    })
}

fn append(path: &Path, even_if_full: bool, json: bool) -> Result<Opened, OpenError> {
    let file = options()
        .open(path)
        .map_err(|source| match source.raw_os_error() {
            // O_NOFOLLOW met a link; a directory cannot be written; a fifo, socket or device may have nobody behind it.
            Some(libc::ELOOP | libc::EISDIR | libc::ENXIO | libc::ENODEV) => {
                not_regular(path).unwrap_or(OpenError::io(path, source))
            }
            _ => OpenError::io(path, source),
        })?;
    let io = |source| OpenError::io(path, source);
    let kind = file.metadata().map_err(io)?.file_type();
    if !kind.is_file() {
        return Err(OpenError::NotRegular {
            path: path.to_owned(),
            what: what(kind),
        });
    }
    let file = lock(path, file)?;
    // Behind the lock, because the other writer may have been adding to it.
    let metadata = file.metadata().map_err(io)?;
    let mut len = metadata.len();
    if len > 0 && !even_if_full {
        return Err(OpenError::Occupied(path.to_owned()));
    }
    let tail = tail::look(&file, len).map_err(io)?;
    let name = || show(path);
    let mut repair = None;
    match tail {
        Tail::Whole => {}
        Tail::HalfRecord { bytes } if json => {
            len -= bytes;
            file.set_len(len).map_err(io)?;
            repair = Some(Repair::Cut {
                name: name(),
                bytes,
            });
        }
        Tail::HalfRecord { .. } | Tail::NoNewline => {
            repair = Some(Repair::NewLine { name: name() });
        }
    }
    let torn = matches!(repair, Some(Repair::NewLine { .. }));
    let made = metadata.created().ok();
    Ok(Opened {
        target: Target::regular(name(), file, len, torn),
        // A clock that was set back: as if it were new.
        age: made
            .and_then(|made| made.elapsed().ok())
            .unwrap_or_default(),
        repair,
    })
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
    let file =
        Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
            Errno::EWOULDBLOCK => OpenError::InUse(path.to_owned()),
            errno => OpenError::io(path, errno.into()),
        })?;
    // Whoever had the lock until now may have given the file another name, and made a new one.
    let io = |source| OpenError::io(path, source);
    let (ours, named) = (
        file.metadata().map_err(io)?,
        path.symlink_metadata().map_err(io)?,
    );
    if (ours.dev(), ours.ino()) == (named.dev(), named.ino()) {
        Ok(file)
    } else {
        Err(OpenError::InUse(path.to_owned()))
    }
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

/// A path in a message.
#[must_use]
pub fn show(path: &Path) -> String {
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
