use std::{
    fs::{self, File},
    io::{Read, pipe},
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    path::PathBuf,
    process::Command,
};

use jiff::tz::TimeZone;
use tempfile::TempDir;

use super::*;
use crate::output::{json::from_line, samples, theme::Theme};

fn numbered(seq: u64) -> Record {
    Record {
        seq,
        ..samples::of(samples::attempt())
    }
}

fn line(record: &Record) -> String {
    let mut out = Vec::new();
    json::to_line(record, &mut out);
    String::from_utf8(out).unwrap()
}

fn json(path: &Path, if_exists: IfExists) -> Sink {
    Sink::file(Format::Json, path, if_exists).unwrap()
}

fn stream(file: impl Into<OwnedFd>) -> Sink {
    Sink::new(
        Format::Json,
        Target::stream("standard output", File::from(file.into())),
    )
}

#[track_caller]
fn fine(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Fine), "{outcome:?}");
}

fn records(path: &Path) -> Vec<Record> {
    let text = fs::read_to_string(path).unwrap();
    assert!(
        text.is_empty() || text.ends_with('\n'),
        "half a line: {text:?}"
    );
    text.lines().map(|line| from_line(line).unwrap()).collect()
}

#[test]
fn a_new_file_belongs_to_its_owner_alone() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("log.jsonl");
    let mut sink = json(&path, IfExists::Refuse);
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    fine(&sink.record(&numbered(1)));
    assert_eq!(records(&path), [], "buffered");
    fine(&sink.flush());
    fine(&sink.flush());
    assert_eq!(records(&path), [numbered(1)]);
}

#[test]
fn a_full_buffer_is_written_by_itself() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("log.jsonl");
    let mut sink = json(&path, IfExists::Refuse);
    let needed = FLUSH_AT / line(&numbered(100)).len() + 2;
    for seq in 1..=needed as u64 {
        fine(&sink.record(&numbered(seq)));
    }
    assert!(fs::metadata(&path).unwrap().len() >= FLUSH_AT as u64);
}

#[test]
fn text_goes_to_a_file_as_well() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("log.txt");
    let text = Format::Text(Text::new(Theme::plain(), TimeZone::UTC));
    let mut sink = Sink::file(text, &path, IfExists::Refuse).unwrap();
    fine(&sink.record(&numbered(1)));
    fine(&sink.flush());
    assert!(
        fs::read_to_string(&path)
            .unwrap()
            .contains("12:03:41.118  bind   tcp   0.0.0.0:8080")
    );
}

#[test]
fn an_existing_file_is_added_to_only_when_asked() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("log.jsonl");
    fs::write(&path, line(&numbered(1))).unwrap();

    let error = Sink::file(Format::Json, &path, IfExists::Refuse).unwrap_err();
    let expected = format!(
        "{} exists; use --append to add to it, or choose another name",
        path.display()
    );
    assert_eq!(error.to_string(), expected);

    let mut sink = json(&path, IfExists::Append);
    fine(&sink.record(&numbered(2)));
    fine(&sink.flush());
    assert_eq!(records(&path), [numbered(1), numbered(2)]);
}

#[test]
fn append_makes_the_file_where_there_is_none() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("log.jsonl");
    let mut sink = json(&path, IfExists::Append);
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    fine(&sink.record(&numbered(1)));
    fine(&sink.flush());
    assert_eq!(records(&path), [numbered(1)]);
}

#[test]
fn a_torn_last_line_does_not_spoil_the_next() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("log.jsonl");
    fs::write(&path, r#"{"schema":1,"ty"#).unwrap();
    let mut sink = json(&path, IfExists::Append);
    fine(&sink.record(&numbered(2)));
    fine(&sink.flush());
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text, format!("{{\"schema\":1,\"ty\n{}", line(&numbered(2))));
}

#[test]
fn a_second_writer_is_refused() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("log.jsonl");
    let _first = json(&path, IfExists::Refuse);
    let error = Sink::file(Format::Json, &path, IfExists::Append).unwrap_err();
    assert!(matches!(error, OpenError::InUse(_)), "{error}");
}

#[test]
fn what_is_no_regular_file_is_refused() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("file"), "").unwrap();
    std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
    std::os::unix::fs::symlink(at("nowhere"), at("dangling")).unwrap();
    fs::create_dir(at("dir")).unwrap();
    nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();

    for (name, why) in [
        (
            "link",
            "is a symbolic link, which portwatch does not follow",
        ),
        (
            "dangling",
            "is a symbolic link, which portwatch does not follow",
        ),
        ("dir", "is a directory and not a regular file"),
        ("fifo", "is a named pipe and not a regular file"),
        ("socket", "is a socket and not a regular file"),
    ] {
        for if_exists in [IfExists::Refuse, IfExists::Append] {
            let error = Sink::file(Format::Json, &at(name), if_exists)
                .unwrap_err()
                .to_string();
            assert!(error.contains(why), "{name} {if_exists:?}: {error}");
        }
    }
    assert!(!at("nowhere").exists());
    let device = Sink::file(Format::Json, Path::new("/dev/null"), IfExists::Append).unwrap_err();
    assert!(
        device
            .to_string()
            .contains("/dev/null is a device and not a regular file"),
        "{device}"
    );
    let missing = Sink::file(Format::Json, &at("no/log"), IfExists::Append)
        .unwrap_err()
        .to_string();
    assert!(
        missing.ends_with("; create its directory first, or choose another name"),
        "{missing}"
    );
}

#[test]
fn a_closed_pipe_is_a_normal_end() {
    let (reader, writer) = pipe().unwrap();
    let mut sink = stream(writer);
    drop(reader);
    fine(&sink.record(&numbered(1)));
    assert!(matches!(sink.flush(), Outcome::Closed));
    assert!(matches!(sink.record(&numbered(2)), Outcome::Closed));
    assert!(matches!(sink.flush(), Outcome::Closed));
    assert_eq!(sink.dropped(), 0);
}

#[test]
fn a_pipe_that_does_not_block_loses_nothing() {
    let (mut reader, writer) = pipe().unwrap();
    nix::fcntl::fcntl(
        &writer,
        nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK),
    )
    .unwrap();
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).map(|_| text)
    });
    let mut sink = stream(writer);
    let mut expected = String::new();
    for seq in 1..=1000 {
        expected.push_str(&line(&numbered(seq)));
        fine(&sink.record(&numbered(seq)));
    }
    fine(&sink.flush());
    drop(sink);
    assert_eq!(reading.join().unwrap().unwrap(), expected);
}

#[test]
fn a_failing_stream_is_told_once_and_counted() {
    let mut sink = stream(File::options().write(true).open("/dev/full").unwrap());
    fine(&sink.record(&numbered(1)));
    let Outcome::Failed(error) = sink.flush() else {
        panic!("/dev/full took it")
    };
    assert_eq!(
        error.to_string(),
        "cannot write to standard output: No space left on device (os error 28); \
         records are dropped and counted until there is room; free some space"
    );
    for seq in 2..=4 {
        fine(&sink.record(&numbered(seq)));
        fine(&sink.flush());
    }
    assert_eq!(sink.dropped(), 4);
}

/// A file system of 64 KiB that is gone with the value.
struct Tiny(TempDir);

impl Tiny {
    /// `None` where mounting is not allowed; in CI that is an error.
    fn mount() -> Option<Self> {
        let dir = TempDir::new().unwrap();
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
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
        let size = 64 * 1024 - room.next_multiple_of(page);
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
    let Outcome::Recovered { dropped } = sink.flush() else {
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
fn a_stream_goes_on_behind_a_torn_line() {
    let Some(tiny) = Tiny::mount() else { return };
    tiny.fill(8192);
    let path = tiny.path("stdout");
    let mut sink = stream(File::create(&path).unwrap());
    let last = until_full_and_again(&mut sink, &tiny);

    let text = fs::read_to_string(&path).unwrap();
    let broken = text.lines().filter(|line| from_line(line).is_err()).count();
    assert!(broken <= 1, "{text}");
    let mut end = text.lines().rev();
    assert_eq!(from_line(end.next().unwrap()).unwrap(), numbered(last));
    assert!(matches!(
        from_line(end.next().unwrap()).unwrap().body,
        Body::Lost(_)
    ));
}
