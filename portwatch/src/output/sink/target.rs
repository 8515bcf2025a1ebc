//! A file descriptor that takes whole lines.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
};

use nix::{
    fcntl::Flock,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

/// What lines are written to.
#[derive(Debug)]
pub(super) struct Target {
    name: String,
    kind: Kind,
    /// The last line has no newline: one must come before anything else.
    torn: bool,
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
    /// How many pieces are in the target, whole.
    pub(super) whole: usize,
    /// Why the others are not.
    pub(super) error: Option<io::Error>,
}

impl Target {
    pub(super) fn stdout() -> io::Result<Self> {
        // A duplicate, because `std::io::Stdout` keeps the rest of a failed write and would send it later.
        let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Ok(Self::stream("standard output", file))
    }

    pub(super) fn stream(name: &str, file: File) -> Self {
        Self {
            name: name.to_owned(),
            kind: Kind::Stream(file),
            torn: false,
        }
    }

    pub(super) const fn regular(name: String, file: Flock<File>, len: u64, torn: bool) -> Self {
        Self {
            name,
            kind: Kind::Regular { file, len },
            torn,
        }
    }

    /// For messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Writes `bytes`, which are pieces that end at `ends`; a piece that could not be written whole is taken back
    /// where that is possible.
    pub(super) fn write(&mut self, bytes: &[u8], ends: &[usize]) -> Written {
        if self.torn {
            if let (done, Some(error)) = self.write_all(b"\n") {
                debug_assert_eq!(done, 0);
                return Written {
                    whole: 0,
                    error: Some(error),
                };
            }
            self.torn = false;
        }
        let (done, error) = self.write_all(bytes);
        let whole = ends.partition_point(|&end| end <= done);
        let kept = whole.checked_sub(1).map_or(0, |last| ends[last]);
        if done > kept {
            self.torn = !self.take_back((done - kept) as u64);
        }
        Written { whole, error }
    }

    /// How many bytes were written, and what ended it early.
    fn write_all(&mut self, bytes: &[u8]) -> (usize, Option<io::Error>) {
        let mut file: &File = match &self.kind {
            Kind::Stream(file) => file,
            Kind::Regular { file, .. } => file,
        };
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

fn wait_until_writable(file: &File) -> io::Result<()> {
    let mut fds = [PollFd::new(file.as_fd(), PollFlags::POLLOUT)];
    match poll(&mut fds, PollTimeout::NONE) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use nix::fcntl::FlockArg;

    use super::*;

    #[test]
    fn a_file_that_somebody_else_has_cut_is_not_cut_again() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("log");
        let file = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .unwrap();
        let file = Flock::lock(file, FlockArg::LockExclusiveNonblock).unwrap();
        let mut target = Target::regular("log".to_owned(), file, 0, false);
        assert_eq!(target.write(b"one\ntwo\n", &[4, 8]).whole, 2);
        assert!(target.take_back(4));
        assert_eq!(fs::read(&path).unwrap(), b"one\n");

        fs::write(&path, "x").unwrap();
        assert!(!target.take_back(4));
        assert_eq!(fs::read(&path).unwrap(), b"x");
        assert_eq!(target.write(b"three\n", &[6]).whole, 1);
        assert_eq!(fs::read(&path).unwrap(), b"xthree\n");
    }
}
