//! The file of `--html`.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process,
};

use anyhow::{Context, Error, Result, anyhow, bail};

use portwatch_core::words::escape::escape;

/// A file that is there whole or not at all.
pub(super) struct Page {
    path: PathBuf,
    /// What is written to, until it is whole.
    draft: PathBuf,
    file: File,
    force: bool,
}

impl Page {
    /// Made at once, because a long work should not end with a name that cannot be.
    pub(super) fn create(path: &Path, force: bool) -> Result<Self> {
        let name = path
            .file_name()
            .with_context(|| format!("{} is no name of a file", show(path)))?;
        match path.symlink_metadata() {
            Ok(metadata) if metadata.is_symlink() => bail!(
                "{} is a symbolic link, which portwatch does not follow; name the file itself",
                show(path)
            ),
            Ok(metadata) if !metadata.is_file() => {
                bail!("{} is not a regular file; choose another name", show(path))
            }
            Ok(_) if !force => return Err(exists(path)),
            _ => {}
        }
        let mut draft = std::ffi::OsString::from(".");
        draft.push(name);
        draft.push(format!(".{}.part", process::id()));
        let draft = path.with_file_name(draft);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&draft)
            .with_context(|| format!("cannot write to {}", show(path)))?;
        Ok(Self {
            path: path.to_owned(),
            draft,
            file,
            force,
        })
    }

    /// Writes it, and gives it its name.
    pub(super) fn write(self, page: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
        let mut out = BufWriter::with_capacity(1 << 16, &self.file);
        page(&mut out)
            .and_then(|()| out.flush())
            .with_context(|| format!("cannot write to {}", show(&self.path)))?;
        drop(out);
        let named = if self.force {
            fs::rename(&self.draft, &self.path)
        } else {
            // Fails if somebody was faster, and follows no link.
            fs::hard_link(&self.draft, &self.path)
        };
        named.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(&self.path),
            _ => anyhow!(error).context(format!("cannot write to {}", show(&self.path))),
        })
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.draft));
    }
}

fn exists(path: &Path) -> Error {
    anyhow!(
        "{} exists; use --force to replace it, or choose another name",
        show(path)
    )
}

fn show(path: &Path) -> String {
    escape(&path.to_string_lossy()).to_string()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn write(path: &Path, force: bool, text: &str) -> Result<()> {
        Page::create(path, force)?.write(|out| out.write_all(text.as_bytes()))
    }

    #[test]
    fn what_exists_is_replaced_only_if_told_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("page.html");
        write(&path, false, "one").unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let error = write(&path, false, "two").unwrap_err().to_string();
        assert!(error.contains("--force"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        write(&path, true, "three").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "three");
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "no drafts are left"
        );
    }

    #[test]
    fn links_and_directories_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        fs::write(&target, "mine").unwrap();
        symlink(&target, &link).unwrap();
        for path in [&link, &dir.path().to_owned()] {
            for force in [false, true] {
                write(path, force, "x").unwrap_err();
            }
        }
        assert_eq!(fs::read_to_string(&target).unwrap(), "mine");
    }

    #[test]
    fn who_comes_later_does_not_win() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("page.html");
        let page = Page::create(&path, false).unwrap();
        fs::write(&path, "first").unwrap();
        let error = page.write(|out| out.write_all(b"second")).unwrap_err();
        assert!(error.to_string().contains("exists"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
    }

    #[test]
    fn nothing_is_left_of_a_page_that_failed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("page.html");
        let page = Page::create(&path, false).unwrap();
        page.write(|_| Err(io::ErrorKind::StorageFull.into()))
            .unwrap_err();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
