//! The names of older files: FILE.1 is the one before FILE, FILE.2 the one before that.
//!
//! `rename(2)` follows no link that a name may be: it moves the link itself, or puts a file in its place.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// When a new file is begun, and how many older ones are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Before a file has more bytes than this; a file has one record at least.
    pub size: Option<u64>,
    /// When a file is older than this.
    pub age: Option<Duration>,
    /// How many older files are kept; 1 at least.
    pub keep: u32,
}

/// The name of the `n`th older file.
pub(super) fn older(path: &Path, n: u32) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{n}"));
    name.into()
}

/// Makes the place of `path` free: it becomes FILE.1, and so on; the oldest of `keep` files is dropped.
pub(super) fn shift(path: &Path, keep: u32) -> io::Result<()> {
    let keep = keep.max(1);
    let mut free = keep;
    for n in 1..=keep {
        match fs::symlink_metadata(older(path, n)) {
            Ok(found) if found.is_dir() => {
                let name = older(path, n);
                return Err(io::Error::other(format!(
                    "{} is a directory; move it away",
                    super::open::show(&name)
                )));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                free = n;
                break;
            }
            Err(error) => return Err(error),
        }
    }
    for n in (1..free).rev() {
        fs::rename(older(path, n), older(path, n + 1))?;
    }
    fs::rename(path, older(path, 1))
}

/// Takes the last step of [`shift`] back.
pub(super) fn unshift(path: &Path) -> io::Result<()> {
    fs::rename(older(path, 1), path)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, os::unix::fs::symlink};

    use super::*;

    fn files(dir: &Path) -> BTreeMap<String, String> {
        fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| {
                let name = entry.file_name().into_string().unwrap();
                (name, fs::read_to_string(entry.path()).unwrap_or_default())
            })
            .collect()
    }

    fn named<const N: usize>(of: [(&str, &str); N]) -> BTreeMap<String, String> {
        of.map(|(name, text)| (name.to_owned(), text.to_owned()))
            .into()
    }

    #[test]
    fn the_oldest_makes_room() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("log");
        for text in ["a", "b", "c", "d"] {
            fs::write(&path, text).unwrap();
            shift(&path, 2).unwrap();
        }
        assert_eq!(files(dir.path()), named([("log.1", "d"), ("log.2", "c")]));
        unshift(&path).unwrap();
        assert_eq!(files(dir.path()), named([("log", "d"), ("log.2", "c")]));
        // Up to the first name that is free, no further.
        shift(&path, 2).unwrap();
        assert_eq!(files(dir.path()), named([("log.1", "d"), ("log.2", "c")]));
    }

    #[test]
    fn no_link_is_followed_and_no_directory_moved() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("log");
        let precious = dir.path().join("precious");
        fs::write(&precious, "precious").unwrap();
        fs::write(&path, "a").unwrap();
        symlink(&precious, older(&path, 1)).unwrap();
        shift(&path, 1).unwrap();
        let expected = named([("log.1", "a"), ("precious", "precious")]);
        assert_eq!(files(dir.path()), expected);

        fs::write(&path, "b").unwrap();
        fs::remove_file(older(&path, 1)).unwrap();
        fs::create_dir(older(&path, 1)).unwrap();
        let error = shift(&path, 3).unwrap_err().to_string();
        assert!(
            error.ends_with("log.1 is a directory; move it away"),
            "{error}"
        );
        assert_eq!(fs::read(&path).unwrap(), b"b");
    }
}
