//! Which files are one log: `FILE` and what it was rotated to, `FILE.1`, `FILE.2` and so on, compressed or not.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use super::input::Input;

/// The inputs that one log lies in, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Never empty.
    pub inputs: Vec<Input>,
}

/// Files of one log, by how often they were rotated, and by name.
type Files = BTreeMap<(u64, OsString), Input>;

/// Puts files that are one log together. The logs are in the order in which the first file of each is named, a file that
/// is named twice is read once, and the files of a log are in the order of their writing, whatever their order here.
///
/// With `rotated`, the files that a named one was rotated to are found beside it.
#[must_use]
pub fn logs(paths: Vec<PathBuf>, rotated: bool) -> Vec<Log> {
    let mut logs: Vec<(Input, Files)> = Vec::new();
    for path in paths {
        let mut add = |path: PathBuf| {
            let (base, age) = split(&path);
            let (base, input) = (Input::from(base), Input::from(path.clone()));
            let position = logs.iter().position(|(known, _)| *known == base);
            let position = position.unwrap_or_else(|| {
                logs.push((base, Files::new()));
                logs.len() - 1
            });
            logs[position]
                .1
                .entry((age, path.into_os_string()))
                .or_insert(input);
        };
        let older = if rotated && path.as_os_str() != "-" {
            beside(&path)
        } else {
            Vec::new()
        };
        // Who was killed while a new file was to be begun has left none of this name.
        if older.is_empty() || path.exists() {
            add(path);
        }
        older.into_iter().for_each(add);
    }
    let oldest_first = |files: Files| files.into_values().rev().collect();
    logs.into_iter()
        .map(|(_, files)| Log {
            inputs: oldest_first(files),
        })
        .collect()
}

/// The file that this one was rotated from, and how often: 0 of the file itself.
fn split(path: &Path) -> (PathBuf, u64) {
    let whole = || (path.to_owned(), 0);
    let Some(name) = path.file_name().map(OsStr::as_bytes) else {
        return whole();
    };
    let unpacked = name.strip_suffix(b".gz").unwrap_or(name);
    let Some(dot) = unpacked.iter().rposition(|byte| *byte == b'.') else {
        return whole();
    };
    let (base, digits) = (&unpacked[..dot], &unpacked[dot + 1..]);
    // A year and the like at the end of a name is no age.
    let short = matches!(digits.len(), 1..=4) && digits[0] != b'0';
    let age = str::from_utf8(digits)
        .ok()
        .filter(|digits| short && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|digits| digits.parse().ok());
    match age {
        Some(age) if !base.is_empty() => {
            (path.with_file_name(OsString::from_vec(base.to_vec())), age)
        }
        _ => whole(),
    }
}

/// What a file was rotated to.
fn beside(path: &Path) -> Vec<PathBuf> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Without a right to look, what was named is read alone.
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| Some(path.with_file_name(entry.ok()?.file_name())))
        .filter(|found| {
            let (base, age) = split(found);
            age > 0 && base == path
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(paths: &[&str], rotated: bool) -> Vec<Vec<String>> {
        let paths = paths.iter().map(PathBuf::from).collect();
        let names = |log: Log| log.inputs.iter().map(ToString::to_string).collect();
        logs(paths, rotated).into_iter().map(names).collect()
    }

    #[test]
    fn a_rotated_set_is_read_from_its_oldest_file_on() {
        assert_eq!(
            names(
                &[
                    "a/x.jsonl",
                    "b",
                    "a/x.jsonl.1",
                    "a/x.jsonl.10.gz",
                    "a/x.jsonl.2",
                    "-",
                    "b"
                ],
                false
            ),
            [
                vec!["a/x.jsonl.10.gz", "a/x.jsonl.2", "a/x.jsonl.1", "a/x.jsonl"],
                vec!["b"],
                vec!["-"],
            ]
        );
    }

    #[test]
    fn other_numbers_are_no_ages() {
        for name in [
            "web.20261121",
            "web.0",
            "web.01",
            "web.x1",
            ".1",
            "1",
            "web.",
            "..",
            "web.1.jsonl",
        ] {
            assert_eq!(split(Path::new(name)), (PathBuf::from(name), 0), "{name}");
        }
        assert_eq!(
            split(Path::new("/l/web.3.gz")),
            (PathBuf::from("/l/web"), 3)
        );
    }

    #[test]
    fn the_rest_of_a_set_is_found() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["x", "x.1", "x.2.gz", "x.log", "y.1"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let path = dir.path().join("x");
        let found = names(&[path.to_str().unwrap()], true);
        let expected =
            ["x.2.gz", "x.1", "x"].map(|name| dir.path().join(name).display().to_string());
        assert_eq!(found, [expected.to_vec()]);
        fs::remove_file(&path).unwrap();
        let found = names(&[path.to_str().unwrap()], true);
        assert_eq!(found, [expected[..2].to_vec()]);
    }
}
