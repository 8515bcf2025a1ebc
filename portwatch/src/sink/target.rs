//! A file descriptor that takes whole lines.

use std::{
    fs::{File, Metadata},
    io::{self, Write},
    os::{
        fd::AsFd,
        unix::fs::{FileExt, MetadataExt},
    },
};

use nix::{
    errno::Errno,
    fcntl::{FallocateFlags, Flock, fallocate},
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

/// How much room there must be before a full disk is written to again, in bytes.
const ROOM: i64 = 2 * super::FLUSH_AT as i64;

/// What lines are written to.
#[derive(Debug)]
pub(super) struct Target {
    name: String,
    kind: Kind,
    /// What must come before anything else: the rest of a piece that was written in part, or the newline that a last
    /// line does not have.
    rest: Vec<u8>,
    /// `rest` is that of a piece.
    in_hand: bool,
}

#[derive(Debug)]
enum Kind {
    /// Somebody else's open file: nothing that was written to it can be taken back.
    Stream(File),
    /// A regular file of our own, and its length as far as we wrote it. The lock keeps a second portwatch from it.
    Regular { file: Flock<File>, len: u64 },
}

/// What came of [`Target::write`].
pub(super) struct Written {
    /// How many pieces are in the target, whole; or so far that nothing else is written before the rest of the last one.
    pub(super) whole: usize,
    /// Why the others are not.
    pub(super) error: Option<io::Error>,
}

/// How a file is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// As we left it, or somebody has added to it.
    Sound,
    /// Shorter: somebody has cut it off (logrotate's copytruncate does).
    Cut,
    /// Without a name: removed.
    Gone,
}

impl Target {
    pub(super) fn stdout() -> io::Result<Self> {
        // A duplicate, because `std::io::Stdout` keeps the rest of a failed write and would send it later.
        let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Ok(Self::stream("standard output", file))
    }

    pub(super) fn stream(name: &str, file: File) -> Self {
        Self::new(name.to_owned(), Kind::Stream(file), false)
    }

    /// A file of `len` bytes, whose last line may be `torn`: without a newline.
    pub(super) fn regular(name: String, file: Flock<File>, len: u64, torn: bool) -> Self {
        Self::new(name, Kind::Regular { file, len }, torn)
    }

    fn new(name: String, kind: Kind, torn: bool) -> Self {
        Self {
            name,
            kind,
            rest: if torn { vec![b'\n'] } else { Vec::new() },
            in_hand: false,
        }
    }

    /// For messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Bytes of a file of our own, as far as we know.
    pub(super) const fn len(&self) -> u64 {
        match self.kind {
            Kind::Stream(_) => 0,
            Kind::Regular { len, .. } => len,
        }
    }

    /// A piece that was taken is not written to its end.
    pub(super) const fn has_rest(&self) -> bool {
        self.in_hand
    }

    fn file(&self) -> &File {
        match &self.kind {
            Kind::Stream(file) => file,
            Kind::Regular { file, .. } => file,
        }
    }

    /// Whether `other` is this very file.
    pub(super) fn is(&self, other: &Metadata) -> bool {
        self.file()
            .metadata()
            .is_ok_and(|own| (own.dev(), own.ino()) == (other.dev(), other.ino()))
    }

    /// Looks what others have done to a file of our own.
    pub(super) fn standing(&mut self) -> Standing {
        let Kind::Regular { file, len } = &mut self.kind else {
            return Standing::Sound;
        };
        // What cannot be looked at may still be written.
        let Ok(metadata) = file.metadata() else {
            return Standing::Sound;
        };
        if metadata.nlink() == 0 {
            return Standing::Gone;
        }
        let before = std::mem::replace(len, metadata.len());
        if metadata.len() >= before {
            return Standing::Sound;
        }
        self.in_hand = false;
        self.rest.clear();
        if torn(file, metadata.len()) {
            self.rest.push(b'\n');
        }
        Standing::Cut
    }

    /// Makes sure of room for what comes next, where the file system can tell: a disk that is full again after the next few
    /// lines has not recovered.
    pub(super) fn reserve(&self) -> io::Result<()> {
        let Kind::Regular { file, len } = &self.kind else {
            return Ok(());
        };
        let flags = FallocateFlags::FALLOC_FL_KEEP_SIZE;
        match fallocate(&**file, flags, len.cast_signed(), ROOM) {
            Err(errno @ (Errno::ENOSPC | Errno::EDQUOT)) => Err(errno.into()),
            _ => Ok(()),
        }
    }

    /// Writes `bytes`, which are pieces that end at `ends`. Of a piece that could not be written whole the beginning is
    /// taken back where that is possible; where it is not, the rest is kept, to be written before anything else.
    pub(super) fn write(&mut self, bytes: &[u8], ends: &[usize]) -> Written {
        let rest = std::mem::take(&mut self.rest);
        let (done, error) = self.write_all(&rest);
        if error.is_some() {
            self.rest = rest[done..].to_vec();
            return Written { whole: 0, error };
        }
        self.in_hand = false;
        let (done, error) = self.write_all(bytes);
        let mut whole = ends.partition_point(|&end| end <= done);
        let kept = whole.checked_sub(1).map_or(0, |last| ends[last]);
        if done > kept
            && let Some(&end) = ends.get(whole)
            && !self.take_back((done - kept) as u64)
        {
            self.rest.extend_from_slice(&bytes[done..end]);
            self.in_hand = true;
            whole += 1;
        }
        Written { whole, error }
    }

    /// How many bytes were written, and what ended it early.
    fn write_all(&mut self, bytes: &[u8]) -> (usize, Option<io::Error>) {
        let mut file = self.file();
        let mut done = 0;
        let mut error = None;
        while done < bytes.len() {
            match file.write(&bytes[done..]) {
                Ok(0) => {
                    error = Some(io::ErrorKind::WriteZero.into());
                    break;
                }
                Ok(written) => done += written,
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                // Somebody who shares the pipe or terminal has made it non-blocking.
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {
                    if let Err(fault) = wait_until_writable(file) {
                        error = Some(fault);
                        break;
                    }
                }
                Err(fault) => {
                    error = Some(fault);
                    break;
                }
            }
        }
        if let Kind::Regular { len, .. } = &mut self.kind {
            *len += done as u64;
        }
        (done, error)
    }

    /// Cuts the last `count` bytes off again. False if they are still there.
    fn take_back(&mut self, count: u64) -> bool {
        let Kind::Regular { file, len } = &mut self.kind else {
            return false;
        };
        // When the length is not what it must be, somebody else has written or cut the file (logrotate's copytruncate
        // does): what is at its end is not ours to take.
        let ours = file.metadata().is_ok_and(|metadata| metadata.len() == *len);
        let cut = ours && file.set_len(*len - count).is_ok();
        if cut {
            *len -= count;
        }
        cut
    }
}

/// Whether the last line of a file of `len` bytes has no newline.
fn torn(file: &File, len: u64) -> bool {
    let mut last = [b'\n'];
    len > 0 && file.read_exact_at(&mut last, len - 1).is_ok() && last != [b'\n']
}

fn wait_until_writable(file: &File) -> io::Result<()> {
    let mut fds = [PollFd::new(file.as_fd(), PollFlags::POLLOUT)];
    match poll(&mut fds, PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use nix::fcntl::FlockArg;

    use super::*;

    fn regular(path: &Path) -> Target {
        let file = File::options()
            .create(true)
            .read(true)
            .append(true)
            .open(path)
            .unwrap();
        let file = Flock::lock(file, FlockArg::LockExclusiveNonblock).unwrap();
        Target::regular("log".to_owned(), file, 0, false)
    }

    #[test]
    fn a_file_that_somebody_else_has_cut_is_not_cut_again() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("log");
        let mut target = regular(&path);
        assert_eq!(target.write(b"one\ntwo\n", &[4, 8]).whole, 2);
        assert!(target.take_back(4));
        assert_eq!(fs::read(&path).unwrap(), b"one\n");

        fs::write(&path, "x").unwrap();
        assert!(!target.take_back(4));
        assert_eq!(fs::read(&path).unwrap(), b"x");
        assert_eq!(target.write(b"three\n", &[6]).whole, 1);
        assert_eq!(fs::read(&path).unwrap(), b"xthree\n");
    }

    #[test]
    fn what_others_do_to_a_file_is_seen() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("log");
        let mut target = regular(&path);
        assert_eq!(target.standing(), Standing::Sound);
        assert_eq!(target.write(b"one\ntwo\n", &[4, 8]).whole, 2);
        assert_eq!(target.standing(), Standing::Sound);

        fs::write(&path, "hal").unwrap();
        assert_eq!(target.standing(), Standing::Cut);
        assert_eq!(target.standing(), Standing::Sound);
        assert_eq!(target.write(b"three\n", &[6]).whole, 1);
        assert_eq!(fs::read(&path).unwrap(), b"hal\nthree\n");

        fs::rename(&path, dir.path().join("moved")).unwrap();
        assert_eq!(target.standing(), Standing::Sound);
        fs::remove_file(dir.path().join("moved")).unwrap();
        assert_eq!(target.standing(), Standing::Gone);
    }

    /// Writing to an address that is not mapped: an error as of a bad disk, of any descriptor that exists.
    #[test]
    fn an_error_of_input_and_output_is_told() {
        let memory = File::options().write(true).open("/proc/self/mem").unwrap();
        let mut target = Target::stream("log", memory);
        let written = target.write(b"one\n", &[4]);
        assert_eq!(written.whole, 0);
        assert_eq!(written.error.unwrap().raw_os_error(), Some(libc::EIO));
        assert!(!target.has_rest());
    }
}
