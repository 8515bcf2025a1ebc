//! The end of a file that is added to.

use std::{fs::File, io, os::unix::fs::FileExt};

use serde::de::IgnoredAny;

/// A last line that is longer than this is not looked at. Records are shorter.
const LONGEST: u64 = 1024 * 1024;
/// How every record in JSON begins.
const RECORD: &[u8] = br#"{"schema":"#;

/// How a file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// With a newline, or it is empty.
    Whole,
    /// With the beginning of a record in JSON, whose rest is missing.
    HalfRecord {
        /// How long it is.
        bytes: u64,
    },
    /// With anything else: a record that lacks but its newline, text, or another's bytes.
    NoNewline,
}

/// Looks at the end of a file of `len` bytes.
pub(super) fn look(file: &File, len: u64) -> io::Result<Tail> {
    let from = len.saturating_sub(LONGEST);
    // The last byte first: nearly always it is enough.
    let mut last = [b'\n'];
    if len > 0 {
        file.read_exact_at(&mut last, len - 1)?;
    }
    if last == [b'\n'] {
        return Ok(Tail::Whole);
    }
    let mut end = vec![0; (len - from) as usize];
    file.read_exact_at(&mut end, from)?;
    let newline = end.iter().rposition(|byte| *byte == b'\n');
    let line = match newline {
        Some(at) => &end[at + 1..],
        None if from == 0 => &end[..],
        None => return Ok(Tail::NoNewline),
    };
    let ours = line.starts_with(RECORD) || RECORD.starts_with(line);
    if ours && serde_json::from_slice::<IgnoredAny>(line).is_err() {
        let bytes = line.len() as u64;
        return Ok(Tail::HalfRecord { bytes });
    }
    Ok(Tail::NoNewline)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn ends() {
        let half = |bytes| Tail::HalfRecord { bytes };
        for (text, expected) in [
            ("", Tail::Whole),
            ("x\n", Tail::Whole),
            ("x", Tail::NoNewline),
            ("{}\n{", half(1)),
            ("{}\n{\"sch", half(5)),
            ("{\"schema\":1,\"ty", half(15)),
            ("{}\n{\"schema\":1}", Tail::NoNewline),
            ("{}\n{\"other\":", Tail::NoNewline),
            ("-- 2026-11-21 --\n12:0", Tail::NoNewline),
        ] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            assert_eq!(look(&file, text.len() as u64).unwrap(), expected, "{text}");
        }
        let mut file = tempfile::tempfile().unwrap();
        let long = vec![b'{'; LONGEST as usize + 1];
        file.write_all(&long).unwrap();
        assert_eq!(look(&file, long.len() as u64).unwrap(), Tail::NoNewline);
    }
}
