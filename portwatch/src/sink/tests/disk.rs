//! Disks that are full.

use std::{path::PathBuf, process::Command};

use super::*;

/// A file system of 512 KiB that is gone with the value.
struct Tiny(TempDir);

impl Tiny {
    /// `None` where mounting is not allowed; in CI that is an error.
    fn mount() -> Option<Self> {
        let dir = TempDir::new().unwrap();
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=512k", "tmpfs"])
            .arg(dir.path())
            .output();
        let why = match done {
            Ok(output) if output.status.success() => return Some(Self(dir)),
            Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
            Err(error) => error.to_string(),
        };
        assert!(
            std::env::var_os("CI").is_none(),
            "CI must be able to mount a tmpfs: {why}"
        );
        eprintln!("skipped: mounting a tmpfs needs root: {}", why.trim());
        None
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Leaves this much room, in a second file.
    fn fill(&self, room: usize) {
        let page = 4096;
        let size = 512 * 1024 - room.next_multiple_of(page);
        fs::write(self.path("ballast"), vec![0; size]).unwrap();
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(self.0.path())
            .status();
    }
}

/// Writes until it fails, then makes room: how many records went in before the recovery, and the last `seq`.
fn until_full_and_again(sink: &mut Sink, tiny: &Tiny) -> u64 {
    let mut seq = 0;
    let mut failures = 0;
    while failures == 0 {
        seq += 1;
        fine(&sink.record(&numbered(seq)));
        if seq % 3 == 0 {
            match sink.flush() {
                Outcome::Failed(error) => {
                    assert!(
                        error.to_string().contains("No space left on device"),
                        "{error}"
                    );
                    failures += 1;
                }
                outcome => fine(&outcome),
            }
        }
    }
    for _ in 0..5 {
        seq += 1;
        fine(&sink.record(&numbered(seq)));
        fine(&sink.flush());
    }
    fs::remove_file(tiny.path("ballast")).unwrap();
    seq += 1;
    fine(&sink.record(&numbered(seq)));
    let Outcome::Recovered { dropped, .. } = sink.flush() else {
        panic!("no recovery")
    };
    assert_eq!(dropped, sink.dropped());
    seq
}

#[test]
fn a_full_disk_leaves_whole_lines_and_a_count() {
    let Some(tiny) = Tiny::mount() else { return };
    tiny.fill(8192);
    let path = tiny.path("log.jsonl");
    let mut sink = json(&path, IfExists::Refuse);
    let last = until_full_and_again(&mut sink, &tiny);

    let records = records(&path);
    let (end, others) = records.split_last().unwrap();
    let (gap, before) = others.split_last().unwrap();
    assert_eq!(*end, numbered(last));
    let Body::Lost(body) = &gap.body else {
        panic!("{gap:?}")
    };
    assert_eq!((body.kind.as_str(), body.count), ("output", sink.dropped()));
    assert_eq!(gap.seq, last - 1);
    assert_eq!(
        before.len() as u64 + body.count + 1,
        last,
        "every record is there or counted"
    );
    assert!(
        before
            .iter()
            .zip(1..)
            .all(|(record, seq)| record.seq == seq)
    );
}

#[test]
fn a_stream_ends_a_torn_line_before_it_goes_on() {
    let Some(tiny) = Tiny::mount() else { return };
    tiny.fill(8192);
    let path = tiny.path("stdout");
    let mut sink = stream(File::create(&path).unwrap());
    let last = until_full_and_again(&mut sink, &tiny);

    let records = records(&path);
    let [.., gap, end] = &records[..] else {
        panic!("{records:?}")
    };
    assert_eq!(*end, numbered(last));
    assert!(matches!(gap.body, Body::Lost(_)), "{gap:?}");
    let before = records.len() as u64 - 2;
    assert_eq!(
        before + sink.dropped() + 1,
        last,
        "every record is there or counted"
    );
}
