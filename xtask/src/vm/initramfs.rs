//! The guest's file system: a `cpio` archive in the format `newc`
//! (Documentation/driver-api/early-userspace/buffer-format.rst).

use std::collections::BTreeSet;
use std::path::{Component, Path};

use anyhow::{Context, Result, bail};

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const SYMLINK: u32 = 0o120_777;
const CHARACTER_DEVICE: u32 = 0o020_600;

/// Marks the end.
const TRAILER: &str = "TRAILER!!!";

/// An archive that grows. Paths are those of the guest, absolute. Directories come by themselves.
#[derive(Debug, Default)]
pub(super) struct Initramfs {
    bytes: Vec<u8>,
    directories: BTreeSet<String>,
    entries: u32,
}

impl Initramfs {
    /// Adds a file that may be executed.
    pub(super) fn file(&mut self, path: &str, content: &[u8]) -> Result<()> {
        self.entry(Path::new(path), PROGRAM, (0, 0), content)
    }

    /// Adds a symbolic link.
    pub(super) fn symlink(&mut self, path: &Path, target: &str) -> Result<()> {
        self.entry(path, SYMLINK, (0, 0), target.as_bytes())
    }

    /// Adds a character device.
    pub(super) fn device(&mut self, path: &str, major: u32, minor: u32) -> Result<()> {
        self.entry(Path::new(path), CHARACTER_DEVICE, (major, minor), &[])
    }

    /// The archive.
    pub(super) fn finish(mut self) -> Result<Vec<u8>> {
        self.raw(TRAILER, 0, (0, 0), &[])?;
        Ok(self.bytes)
    }

    fn entry(&mut self, path: &Path, mode: u32, device: (u32, u32), content: &[u8]) -> Result<()> {
        let path = relative(path)?;
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.ensure_directory(parent)?;
        }
        self.raw(&path, mode, device, content)
    }

    fn ensure_directory(&mut self, path: &str) -> Result<()> {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.ensure_directory(parent)?;
        }
        if self.directories.insert(path.to_owned()) {
            self.raw(path, DIRECTORY, (0, 0), &[])?;
        }
        Ok(())
    }

    fn raw(&mut self, name: &str, mode: u32, device: (u32, u32), content: &[u8]) -> Result<()> {
        let size = u32::try_from(content.len()).context("a file of 4 GiB or more")?;
        self.entries += 1;
        let fields = [
            self.entries, // inode
            mode,
            0, // uid
            0, // gid
            1, // links
            0, // time of change
            size,
            0, // device of the archive
            0,
            device.0,
            device.1,
            name.len() as u32 + 1,
            0, // checksum, of another format
        ];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
        Ok(())
    }

    /// Headers and contents begin at multiples of four.
    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// The path from the root of the file system.
fn relative(path: &Path) -> Result<String> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::RootDir => {}
            Component::Normal(part) => parts.push(part.to_str().context("a name is not UTF-8")?),
            _ => bail!("{} is not absolute", path.display()),
        }
    }
    if parts.is_empty() || !path.is_absolute() {
        bail!("{} is not absolute", path.display());
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names, modes and contents, read as the kernel's `init/initramfs.c` reads them.
    fn read(bytes: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut entries = Vec::new();
        let mut at = 0;
        loop {
            let header = &bytes[at..at + 110];
            assert_eq!(&header[..6], b"070701");
            let field = |index: usize| {
                let digits = &header[6 + index * 8..14 + index * 8];
                u32::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap()
            };
            let name_at = at + 110;
            let name_end = name_at + field(11) as usize;
            let name = String::from_utf8(bytes[name_at..name_end - 1].to_vec()).unwrap();
            let content_at = name_end.next_multiple_of(4);
            let content_end = content_at + field(6) as usize;
            if name == TRAILER {
                return entries;
            }
            entries.push((name, field(1), bytes[content_at..content_end].to_vec()));
            at = content_end.next_multiple_of(4);
        }
    }

    #[test]
    fn directories_come_before_what_is_in_them_and_once() {
        let mut archive = Initramfs::default();
        archive.file("/a/b/one", b"first").unwrap();
        archive.file("/a/b/two", b"second").unwrap();
        archive.symlink(Path::new("/a/three"), "/a/b/one").unwrap();
        let bytes = archive.finish().unwrap();
        assert_eq!(bytes.len() % 4, 0);
        let entries = [
            ("a", DIRECTORY, ""),
            ("a/b", DIRECTORY, ""),
            ("a/b/one", PROGRAM, "first"),
            ("a/b/two", PROGRAM, "second"),
            ("a/three", SYMLINK, "/a/b/one"),
        ];
        let entries = entries
            .map(|(name, mode, content)| (name.to_owned(), mode, content.as_bytes().to_vec()));
        assert_eq!(read(&bytes), entries);
    }

    #[test]
    fn paths_are_absolute() {
        for path in ["", "/", "bin/x", "/bin/../x"] {
            let error = Initramfs::default().file(path, b"").unwrap_err();
            assert_eq!(error.to_string(), format!("{path} is not absolute"));
        }
    }
}
