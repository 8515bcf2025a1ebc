//! Where a log is read from.

use std::{
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, Cursor, Read},
    os::fd::AsFd,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use flate2::bufread::MultiGzDecoder;
use thiserror::Error;

use portwatch_core::words::escape::escape;

/// Bytes that are read at once.
const BUFFER: usize = 256 * 1024;

/// First bytes of compressed files, and what unpacks them.
const PACKED: [(&[u8], &str); 3] = [
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstdcat"),
    (&[0xfd, b'7', b'z', b'X', b'Z'], "xzcat"),
    (b"BZh", "bzcat"),
];
/// First bytes of gzip's.
const GZIP: &[u8] = &[0x1f, 0x8b];

/// Where a log is read from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// Standard input, `-` on the command line.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl From<PathBuf> for Input {
    fn from(path: PathBuf) -> Self {
        if path.as_os_str() == "-" {
            Self::Stdin
        } else {
            Self::File(path)
        }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("-"),
            Self::File(path) => escape(&path.to_string_lossy()).fmt(f),
        }
    }
}

/// Why a log cannot be read.
#[derive(Debug, Error)]
pub enum OpenError {
    /// It cannot be opened.
    #[error("cannot read {input}: {source}")]
    Io {
        /// Which.
        input: Input,
        /// Why.
        source: io::Error,
    },
    /// It is a directory.
    #[error("{0} is a directory; name the files in it")]
    Directory(Input),
    /// It is compressed in a way that is not unpacked here.
    #[error(
        "{input} is compressed; unpack it first: name `-` and pipe what `{by} {input}` writes into portwatch"
    )]
    Packed {
        /// Which.
        input: Input,
        /// The program that unpacks it.
        by: &'static str,
    },
}

/// An input that is open.
pub struct Open {
    /// As it is called in messages.
    pub name: Arc<str>,
    /// Its bytes, unpacked.
    pub reader: Box<dyn BufRead + Send>,
    /// Its size in bytes, as it lies there; `None` of a pipe.
    pub size: Option<u64>,
}

impl Open {
    /// A file in memory.
    #[must_use]
    pub fn in_memory(name: &str, bytes: &[u8]) -> Self {
        Self {
            name: name.into(),
            reader: Box::new(Cursor::new(bytes.to_vec())),
            size: None,
        }
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, size, .. } = self;
        write!(f, "{name} ({size:?} bytes)")
    }
}

impl Input {
    /// Opens it. What is read of it is counted.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is compressed with another program than gzip.
    pub fn open(&self, read: &Arc<AtomicU64>) -> Result<Open, OpenError> {
        let io = |source| OpenError::Io {
            input: self.clone(),
            source,
        };
        let file = match self {
            Self::Stdin => File::from(io::stdin().as_fd().try_clone_to_owned().map_err(io)?),
            Self::File(path) => File::open(path).map_err(io)?,
        };
        let metadata = file.metadata().map_err(io)?;
        if metadata.is_dir() {
            return Err(OpenError::Directory(self.clone()));
        }
        let size = metadata.is_file().then_some(metadata.len());
        let counted = Counted {
            file,
            read: Arc::clone(read),
        };
        let mut reader = BufReader::with_capacity(BUFFER, counted);
        let first = reader.fill_buf().map_err(io)?;
        if let Some((_, by)) = PACKED.iter().find(|(magic, _)| first.starts_with(magic)) {
            return Err(OpenError::Packed {
                input: self.clone(),
                by,
            });
        }
        let reader: Box<dyn BufRead + Send> = if first.starts_with(GZIP) {
            let unpacked = MultiGzDecoder::new(reader);
            Box::new(BufReader::with_capacity(BUFFER, unpacked))
        } else {
            Box::new(reader)
        };
        Ok(Open {
            name: self.to_string().into(),
            reader,
            size,
        })
    }
}

/// A file that counts the bytes read from it.
struct Counted {
    file: File,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
