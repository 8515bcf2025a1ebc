mod disk;
mod files;

use std::{
    fs::{self, File},
    io::{Read, pipe},
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
};

use jiff::tz::TimeZone;
use tempfile::TempDir;

use super::*;
use portwatch_core::samples;
use portwatch_log::{json::from_line, theme::Theme};

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
    file(Format::Json, path, if_exists).unwrap()
}

fn file(format: Format, path: &Path, if_exists: IfExists) -> Result<Sink, OpenError> {
    Sink::file(format, path, if_exists, Rotation::default()).map(|(sink, _)| sink)
}

fn stream(file: impl Into<OwnedFd>) -> Sink {
    let file = File::from(file.into());
    Sink::stream(Format::Json, "standard output", file)
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
    let mut sink = file(text, &path, IfExists::Refuse).unwrap();
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

    let error = file(Format::Json, &path, IfExists::Refuse).unwrap_err();
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
fn a_half_record_at_the_end_is_cut_off() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("log.jsonl");
    let half = r#"{"schema":1,"ty"#;
    fs::write(&path, format!("{}{half}", line(&numbered(1)))).unwrap();
    let append = |format| Sink::file(format, &path, IfExists::Append, Rotation::default());
    let (mut sink, repair) = append(Format::Json).unwrap();
    let expected = format!(
        "{} ended in the middle of a record, as after a crash; its 15 bytes were cut off",
        path.display()
    );
    assert_eq!(repair.unwrap().to_string(), expected);
    fine(&sink.record(&numbered(2)));
    fine(&sink.flush());
    assert_eq!(records(&path), [numbered(1), numbered(2)]);
    drop(sink);
    assert_eq!(append(Format::Json).unwrap().1, None);

    // What is not surely ours stays.
    fs::write(&path, "precious").unwrap();
    let (mut sink, repair) = append(Format::Json).unwrap();
    assert!(matches!(repair, Some(Repair::NewLine { .. })), "{repair:?}");
    fine(&sink.record(&numbered(2)));
    fine(&sink.flush());
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text, format!("precious\n{}", line(&numbered(2))));
}

#[test]
fn a_second_writer_is_refused() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("log.jsonl");
    let _first = json(&path, IfExists::Refuse);
    let error = file(Format::Json, &path, IfExists::Append).unwrap_err();
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
            let error = file(Format::Json, &at(name), if_exists)
                .unwrap_err()
                .to_string();
            assert!(error.contains(why), "{name} {if_exists:?}: {error}");
        }
    }
    assert!(!at("nowhere").exists());
    let device = file(Format::Json, Path::new("/dev/null"), IfExists::Append).unwrap_err();
    assert!(
        device
            .to_string()
            .contains("/dev/null is a device and not a regular file"),
        "{device}"
    );
    let missing = file(Format::Json, &at("no/log"), IfExists::Append)
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

/// What somebody else did not hand over stands behind what was waiting.
#[test]
fn what_never_came_here_is_told_in_its_place() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("log.jsonl");
    let mut sink = json(&path, IfExists::Refuse);
    fine(&sink.record(&numbered(1)));
    let mut missing = Missing::one(&numbered(2));
    missing.extend(Missing::one(&numbered(3)));
    fine(&sink.missed(missing));
    fine(&sink.flush());
    fine(&sink.record(&numbered(4)));
    fine(&sink.flush());
    let records = records(&path);
    let numbers: Vec<u64> = records.iter().map(|record| record.seq).collect();
    assert_eq!(numbers, [1, 3, 4]);
    let Body::Lost(lost) = &records[1].body else {
        panic!("{records:?}")
    };
    assert_eq!(lost.count, 2);
    assert_eq!(sink.dropped(), 0, "counted by somebody else");
}
