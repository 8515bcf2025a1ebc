use std::{
    fs::File,
    io::{Read, Write},
};

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;

use super::*;
use crate::{input::Input, json::to_line, lines::LIMIT, logs};
use portwatch_core::model::number::Big;
use portwatch_core::samples;

pub(crate) fn text(records: &[Record]) -> Vec<u8> {
    let mut text = Vec::new();
    for record in records {
        to_line(record, &mut text);
    }
    text
}

fn read(files: &[&[u8]]) -> Vec<Entry> {
    let files = files.iter().enumerate();
    let files = files.map(|(n, bytes)| Open::in_memory(&format!("f{n}"), bytes));
    Reader::new(0, files.collect()).collect()
}

/// Lines and what is wrong with them, and how many records there are.
fn problems(entries: &[Entry]) -> (Vec<(u64, Problem)>, usize) {
    let mut problems = Vec::new();
    let mut records = 0;
    for entry in entries {
        match &entry.found {
            Ok(_) => records += 1,
            Err(problem) => problems.push((entry.place.line, problem.clone())),
        }
    }
    (problems, records)
}

fn replaced(line: &str, from: &str, to: &str) -> String {
    let new = line.replacen(from, to, 1);
    assert_ne!(new, line);
    new
}

fn newlines(bytes: &[u8]) -> usize {
    bytes.split(|byte| *byte == b'\n').count() - 1
}

fn line(record: &Record) -> String {
    String::from_utf8(text(std::slice::from_ref(record))).unwrap()
}

#[test]
fn a_sound_log_reads_back_with_its_places_and_its_text() {
    let records = samples::all();
    let bytes = text(&records);
    let entries = read(&[&bytes]);
    let lines = str::from_utf8(&bytes).unwrap().lines();
    assert_eq!(entries.len(), records.len());
    for (position, ((entry, record), line)) in entries.iter().zip(&records).zip(lines).enumerate() {
        assert_eq!(entry.found.as_ref(), Ok(record));
        assert_eq!(entry.text, line);
        assert_eq!(entry.place.to_string(), format!("f0:{}", position + 1));
        assert!(!entry.continues);
    }
}

#[test]
fn each_kind_of_damage_is_told_with_its_line_and_the_rest_is_used() {
    let [start, stop] = [samples::start(), samples::stop()].map(|record| line(&record));
    let attempt = line(&samples::of(samples::attempt()));
    let lines: Vec<Vec<u8>> = vec![
        start.clone().into(),
        replaced(&attempt, "\"schema\":1", "\"schema\":2").into(),
        replaced(&attempt, "\"attempt\"", "\"tide\"").into(),
        replaced(&attempt, "\"bind\"", "\"weave\"").into(),
        b"{\"level\":\"info\"}\n".to_vec(),
        b"Nov 21 12:03:41 web1 kernel: oops\n".to_vec(),
        [&attempt.as_bytes()[..40], b"\n"].concat(),
        [b"\xff", attempt.as_bytes()].concat(),
        b"\n".to_vec(),
        [vec![b'x'; LIMIT + 1], b"\n".to_vec()].concat(),
        attempt.clone().into(),
        stop.into(),
    ];
    let (problems, records) = problems(&read(&[&lines.concat()]));
    let [schema, kind, value, foreign, syslog, half, utf8, long] = &problems[..] else {
        panic!("{problems:#?}");
    };
    assert_eq!(*schema, (2, Problem::Schema { found: 2 }));
    assert_eq!(
        *kind,
        (
            3,
            Problem::Type {
                found: "tide".to_owned()
            }
        )
    );
    assert!(
        matches!(value, (4, Problem::Unreadable { why, version: None }) if why.contains("weave"))
    );
    assert_eq!(*foreign, (5, Problem::Foreign));
    assert_eq!(*syslog, (6, Problem::Foreign));
    assert!(matches!(half, (7, Problem::Damaged { .. })));
    assert_eq!(*utf8, (8, Problem::NotUtf8 { byte: 1 }));
    assert_eq!(*long, (10, Problem::TooLong));
    // The one behind the byte that is no UTF-8 among them.
    assert_eq!(records, 4);
}

#[test]
fn the_version_that_wrote_a_record_is_told() {
    let start = replaced(
        &line(&samples::start()),
        "\"version\":\"0.1.0\"",
        "\"version\":\"7.0.0\"",
    );
    let attempt = replaced(
        &line(&samples::of(samples::attempt())),
        "\"bind\"",
        "\"weave\"",
    );
    let stop = line(&samples::stop());
    let (problems, _) = problems(&read(&[[start, attempt, stop].concat().as_bytes()]));
    let [(2, problem)] = &problems[..] else {
        panic!("{problems:#?}");
    };
    assert!(
        problem.to_string().contains("(portwatch 7.0.0 wrote it)"),
        "{problem}"
    );
}

#[test]
fn what_lost_its_newline_is_read() {
    let records = samples::all();
    let whole = text(&records);
    let joined: Vec<u8> = whole
        .iter()
        .copied()
        .filter(|byte| *byte != b'\n')
        .collect();
    let (found, read_back) = problems(&read(&[&joined]));
    assert!(
        matches!(&found[..], [(1, Problem::Damaged { .. })]),
        "{found:#?}"
    );
    assert_eq!(read_back, records.len());
    // A machine that crashed leaves zeros.
    let zeros = [&text(&records[..1])[..], &[0; 100], &text(&records[1..])].concat();
    let (found, read_back) = problems(&read(&[&zeros]));
    assert!(
        matches!(&found[..], [(2, Problem::Damaged { .. })]),
        "{found:#?}"
    );
    assert_eq!(read_back, records.len());
}

#[test]
fn a_run_without_an_end_is_told_once() {
    let [start, stop] = [samples::start(), samples::stop()];
    let attempt = samples::of(samples::attempt());
    let open_end = text(&[start.clone(), attempt.clone()]);
    assert_eq!(
        problems(&read(&[&open_end])),
        (vec![(2, Problem::NoStop)], 2)
    );
    let cut = &open_end[..open_end.len() - 5];
    assert_eq!(problems(&read(&[cut])), (vec![(2, Problem::CutOff)], 1));
    // Another run in the same file, as --append makes it.
    let mut later = start.clone();
    later.boot_ns = Big(later.boot_ns.0 + 1);
    let two = text(&[start, attempt.clone(), later, stop]);
    assert_eq!(problems(&read(&[&two])), (vec![(3, Problem::NoStop)], 4));
    // What another tool has picked from a log has neither beginning nor end.
    assert_eq!(problems(&read(&[&text(&[attempt])])), (vec![], 1));
}

#[test]
fn files_of_a_rotated_set_are_one_run() {
    let [start, stop] = [samples::start(), samples::stop()];
    let attempt = |seq| Record {
        seq,
        ..samples::of(samples::attempt())
    };
    let again = Record {
        seq: 3,
        boot_ns: Big(start.boot_ns.0 + 9),
        ..start.clone()
    };
    // Nothing was recorded before the next file began.
    let entries = read(&[
        &line(&start).into_bytes(),
        &text(&[
            Record {
                seq: 1,
                ..again.clone()
            },
            stop.clone(),
        ]),
    ]);
    assert_eq!(problems(&entries), (vec![], 3));
    let older = text(&[start.clone(), attempt(2)]);
    for start_again in [again, start] {
        let newer = text(&[start_again, attempt(4), stop.clone()]);
        let entries = read(&[&older, &newer]);
        assert_eq!(problems(&entries), (vec![], 5));
        let continues: Vec<bool> = entries.iter().map(|entry| entry.continues).collect();
        assert_eq!(continues, [false, false, true, false, false]);
        assert_eq!(entries[3].place.to_string(), "f1:2");
    }
}

#[test]
fn a_compressed_file_is_unpacked_and_others_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let records = samples::all();
    let path = dir.path().join("log.1.gz");
    let mut packed = GzEncoder::new(File::create(&path).unwrap(), Compression::fast());
    packed.write_all(&text(&records)).unwrap();
    packed.finish().unwrap();
    let count = Arc::default();
    let set = logs(vec![path.clone()], false);
    let (reader, size) = Reader::open(0, &set[0], &count).unwrap();
    assert_eq!(size, Some(path.metadata().unwrap().len()));
    assert_eq!(
        reader.map(|entry| entry.found.unwrap()).collect::<Vec<_>>(),
        records
    );
    assert_eq!(Some(count.load(std::sync::atomic::Ordering::Relaxed)), size);

    let path = dir.path().join("log.zst");
    std::fs::write(&path, [0x28, 0xb5, 0x2f, 0xfd, 0]).unwrap();
    let error = Input::from(path).open(&count).unwrap_err().to_string();
    assert!(error.contains("zstdcat"), "{error}");
    let error = Input::from(dir.path().to_owned()).open(&count).unwrap_err();
    assert!(error.to_string().contains("is a directory"), "{error}");
}

/// Ends with an error, as a disk does.
struct Failing(std::io::Cursor<Vec<u8>>);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(std::io::Error::other("the disk is gone")),
            read => Ok(read),
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_on_ends_there() {
    let records = [samples::start(), samples::of(samples::attempt())];
    let failing = Failing(std::io::Cursor::new(text(&records)));
    let failing = Open {
        name: "f0".into(),
        reader: Box::new(std::io::BufReader::new(failing)),
        size: None,
    };
    let sound = Open::in_memory("f1", &text(&samples::all()));
    let entries: Vec<Entry> = Reader::new(0, vec![failing, sound]).collect();
    let (found, read_back) = problems(&entries);
    let why = "the disk is gone".to_owned();
    assert_eq!(found, [(2, Problem::Io { why })]);
    assert_eq!(read_back, 2 + samples::all().len());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_to_their_end(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for entry in read(&[&bytes]) {
            prop_assert!(entry.found.is_err());
        }
    }

    /// Bytes of a log in which some were changed: lines that were not touched are still read.
    #[test]
    fn damage_costs_the_line_that_it_hits(hits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let records = samples::all();
        let sound = text(&records);
        let mut bytes = sound.clone();
        let mut hit = std::collections::BTreeSet::new();
        for (at, byte) in hits {
            let at = at.index(bytes.len());
            let line = newlines(&sound[..at]);
            // A newline that is lost joins two lines.
            hit.extend([line, if sound[at] == b'\n' { line + 1 } else { line }]);
            bytes[at] = byte;
        }
        let found: Vec<Record> = read(&[&bytes]).into_iter().filter_map(|entry| entry.found.ok()).collect();
        for (line, record) in records.iter().enumerate() {
            prop_assert!(hit.contains(&line) || found.contains(record), "line {}", line + 1);
        }
    }
}

#[test]
fn a_log_that_is_cut_anywhere_gives_all_whole_lines() {
    let records = samples::all();
    let whole = text(&records);
    for end in 0..=whole.len() {
        let entries = read(&[&whole[..end]]);
        let found: Vec<&Record> = entries
            .iter()
            .filter_map(|entry| entry.found.as_ref().ok())
            .collect();
        let newlines = newlines(&whole[..end]);
        // The last line may be whole but for its newline.
        let lines = newlines + usize::from(whole.get(end) == Some(&b'\n'));
        assert_eq!(
            found,
            records[..lines].iter().collect::<Vec<_>>(),
            "cut at {end}"
        );
        let told = entries
            .iter()
            .any(|entry| matches!(entry.found, Err(Problem::CutOff | Problem::NoStop)));
        assert_eq!(told, end > 0 && lines < records.len(), "cut at {end}");
    }
}
