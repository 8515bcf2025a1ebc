//! When one file follows another: rotation, files that are moved, cut off or removed.

use std::time::Duration;

use super::*;

const SECOND: u64 = 1_000_000_000;

fn rotated(path: &Path, rotation: Rotation) -> Sink {
    Sink::file(Format::Json, path, IfExists::Append, rotation)
        .unwrap()
        .0
}

fn start() -> Record {
    Record {
        seq: 1,
        ..samples::start()
    }
}

fn at(seq: u64, seconds: u64) -> Record {
    let mut record = numbered(seq);
    record.boot_ns.0 += seconds * SECOND;
    record
}

/// What follows each other in a file: a `start` record, then numbers without a gap. Gives the first and the last.
#[track_caller]
fn alone(path: &Path) -> [u64; 2] {
    let records = records(path);
    assert!(matches!(records[0].body, Body::Start(_)), "{records:?}");
    let first = records[0].seq;
    for (record, seq) in records.iter().zip(first..) {
        assert_eq!(record.seq, seq);
    }
    [first, first + records.len() as u64 - 1]
}

#[test]
fn files_of_a_size_can_be_read_alone() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("log.jsonl");
    let size = line(&start()).len() + 3 * line(&numbered(11)).len();
    let mut sink = rotated(
        &path,
        Rotation {
            size: Some(size as u64),
            age: None,
            keep: 2,
        },
    );
    fine(&sink.record(&start()));
    for seq in 2..=11 {
        fine(&sink.record(&numbered(seq)));
        if seq == 6 {
            fine(&sink.flush());
        }
    }
    fine(&sink.flush());
    let files = ["log.jsonl.2", "log.jsonl.1", "log.jsonl"].map(|name| dir.path().join(name));
    // What is numbered 2 to 4 was dropped with the oldest file. A `start` has the number of the record before it.
    let [oldest, older, newest] = files.each_ref().map(|file| alone(file));
    assert_eq!([oldest, older, newest], [[4, 7], [7, 10], [10, 11]]);
    for file in &files {
        let metadata = fs::metadata(file).unwrap();
        assert!(metadata.len() <= size as u64);
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
}

#[test]
fn a_file_of_an_age_makes_room_for_the_next_record() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("log.jsonl");
    let rotation = Rotation {
        size: None,
        age: Some(Duration::from_secs(60)),
        keep: 1,
    };
    let mut sink = rotated(&path, rotation);
    fine(&sink.record(&start()));
    fine(&sink.record(&at(2, 59)));
    fine(&sink.record(&at(3, 60)));
    fine(&sink.record(&at(4, 119)));
    fine(&sink.flush());
    assert_eq!(alone(&path), [2, 4]);
    assert_eq!(alone(&dir.path().join("log.jsonl.1")), [1, 2]);
    let [start, next, ..] = &records(&path)[..] else {
        panic!()
    };
    assert_eq!((start.boot_ns, &start.time), (next.boot_ns, &next.time));
}

#[test]
fn a_rotation_that_does_not_work_is_told_once_and_loses_nothing() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("log.jsonl");
    let blocked = dir.path().join("log.jsonl.1");
    fs::create_dir(&blocked).unwrap();
    let rotation = Rotation {
        size: Some(1),
        age: None,
        keep: 3,
    };
    let mut sink = rotated(&path, rotation);
    fine(&sink.record(&start()));
    fine(&sink.record(&at(2, 0)));
    let Outcome::Failed(trouble) = sink.record(&at(3, 0)) else {
        panic!("it was rotated")
    };
    let expected = format!(
        "{} cannot be rotated: {} is a directory; move it away; it grows until that works",
        path.display(),
        blocked.display()
    );
    assert_eq!(trouble.to_string(), expected);
    fine(&sink.record(&at(4, 2)));
    fs::remove_dir(&blocked).unwrap();
    fine(&sink.record(&at(5, 4)));
    fine(&sink.flush());
    assert_eq!(alone(&blocked), [1, 4]);
    assert_eq!(alone(&path), [4, 5]);
    assert_eq!(sink.dropped(), 0);
}

/// As logrotate does it: the file is moved away, and the signal comes later.
#[test]
fn a_file_that_is_moved_is_written_until_it_is_opened_again() {
    let dir = TempDir::new().unwrap();
    let (path, moved) = (dir.path().join("log.jsonl"), dir.path().join("moved"));
    let mut sink = json(&path, IfExists::Refuse);
    fine(&sink.record(&start()));
    fine(&sink.flush());
    fine(&sink.reopen());
    fs::rename(&path, &moved).unwrap();
    fine(&sink.record(&numbered(2)));
    fine(&sink.flush());
    // One that waits belongs to the old file.
    fine(&sink.record(&numbered(3)));
    fine(&sink.reopen());
    fine(&sink.record(&numbered(4)));
    fine(&sink.flush());
    assert_eq!(alone(&moved), [1, 3]);
    assert_eq!(alone(&path), [3, 4]);

    // An empty file is made for us, as with logrotate's `create`; another one is not.
    fs::remove_file(&moved).unwrap();
    fs::rename(&path, &moved).unwrap();
    fs::write(&path, "precious\n").unwrap();
    let Outcome::Failed(trouble) = sink.reopen() else {
        panic!("it was opened")
    };
    let expected = format!(
        "{} is another file now, and it is not empty; move it away, or use --append to add to what is there; \
         records still go to the file that was opened before",
        path.display()
    );
    assert_eq!(trouble.to_string(), expected);
    fine(&sink.record(&numbered(5)));
    fine(&sink.flush());
    fs::write(&path, "").unwrap();
    fine(&sink.reopen());
    fine(&sink.record(&numbered(6)));
    fine(&sink.flush());
    assert_eq!(alone(&moved), [3, 5]);
    assert_eq!(alone(&path), [5, 6]);
}

#[test]
fn a_link_in_place_of_the_file_is_not_followed() {
    let dir = TempDir::new().unwrap();
    let (path, precious) = (dir.path().join("log.jsonl"), dir.path().join("precious"));
    let mut sink = json(&path, IfExists::Append);
    fine(&sink.record(&start()));
    fine(&sink.flush());
    fs::write(&precious, "").unwrap();
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&precious, &path).unwrap();
    let Outcome::Failed(trouble) = sink.reopen() else {
        panic!("it was followed")
    };
    assert!(
        trouble.to_string().contains("is a symbolic link"),
        "{trouble}"
    );
    assert_eq!(fs::read(&precious).unwrap(), b"");
}

/// As logrotate's copytruncate does it.
#[test]
fn a_file_that_is_cut_off_begins_anew() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("log.jsonl");
    let mut sink = json(&path, IfExists::Refuse);
    fine(&sink.record(&start()));
    fine(&sink.record(&numbered(2)));
    fine(&sink.flush());
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(0)
        .unwrap();
    fine(&sink.record(&numbered(3)));
    fine(&sink.record(&numbered(4)));
    fine(&sink.flush());
    assert_eq!(alone(&path), [2, 4]);
}

#[test]
fn what_was_removed_is_made_again_when_that_is_possible() {
    let dir = TempDir::new().unwrap();
    let inner = dir.path().join("logs");
    fs::create_dir(&inner).unwrap();
    let path = inner.join("log.jsonl");
    let mut sink = json(&path, IfExists::Refuse);
    fine(&sink.record(&start()));
    fine(&sink.flush());

    fs::remove_file(&path).unwrap();
    fine(&sink.record(&numbered(2)));
    let outcome = sink.flush();
    assert!(matches!(outcome, Outcome::MadeAnew { .. }), "{outcome:?}");
    assert_eq!(alone(&path), [1, 2]);

    fs::remove_dir_all(&inner).unwrap();
    fine(&sink.record(&numbered(3)));
    let Outcome::Failed(trouble) = sink.flush() else {
        panic!("it was written")
    };
    let expected = format!(
        "{} was removed and cannot be made again: No such file or directory (os error 2); \
         records are dropped and counted until it can be",
        path.display()
    );
    assert_eq!(trouble.to_string(), expected);
    fine(&sink.record(&numbered(4)));
    fine(&sink.flush());

    fs::create_dir(&inner).unwrap();
    fine(&sink.record(&numbered(5)));
    let outcome = sink.flush();
    assert!(
        matches!(outcome, Outcome::Recovered { dropped: 2, .. }),
        "{outcome:?}"
    );
    assert_eq!(alone(&path), [3, 5]);
    assert!(matches!(records(&path)[1].body, Body::Lost(_)));
    assert_eq!(sink.dropped(), 2);
}

#[test]
fn text_files_begin_with_where_and_when() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("log.txt");
    let text = Format::Text(Text::new(Theme::plain(), TimeZone::UTC));
    let rotation = Rotation {
        size: Some(1),
        age: None,
        keep: 1,
    };
    let (mut sink, _) = Sink::file(text, &path, IfExists::Refuse, rotation).unwrap();
    fine(&sink.record(&start()));
    for seq in 2..=3 {
        fine(&sink.record(&numbered(seq)));
    }
    fine(&sink.flush());
    for name in ["log.txt", "log.txt.1"] {
        let text = fs::read_to_string(dir.path().join(name)).unwrap();
        assert!(
            text.starts_with("-- 2026-11-21 12:03:41 +00:00, web1, Linux"),
            "{text}"
        );
        assert_eq!(text.matches("-- 2026-11-21").count(), 1, "{text}");
        assert_eq!(text.matches("  bind   tcp").count(), 1, "{text}");
    }
}
