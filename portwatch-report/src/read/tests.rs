use std::io::{self, BufReader};

use proptest::prelude::*;

use super::{
    super::samples::{in_memory, lines, log, ns},
    blocks::BLOCK,
    *,
};
use portwatch_core::model::{number::Big, record::Record};
use portwatch_log::{Reader, input::Open};

#[derive(Debug, Default, PartialEq, Eq)]
struct Noted {
    logs: Vec<usize>,
    /// Of each record: its number and whether it continues.
    records: Vec<(u64, bool)>,
    problems: Vec<(String, Problem)>,
    blocks: u64,
}

impl Sink for Noted {
    fn log(&mut self, log: usize) {
        self.logs.push(log);
    }

    fn line(&mut self, line: &Line<'_>, continues: bool) {
        self.records.push((line.seq, continues));
    }

    fn problem(&mut self, place: &Place, problem: &Problem) {
        self.problems.push((place.to_string(), problem.clone()));
    }

    fn block(&mut self) {
        self.blocks += 1;
    }
}

fn noted(logs: Vec<Log>) -> Noted {
    let mut noted = Noted::default();
    read(logs, &mut noted);
    noted
}

/// What the reader of `portwatch replay` finds in the same files.
fn expected(number: usize, files: &[Vec<u8>]) -> Noted {
    let mut noted = Noted {
        logs: vec![number],
        ..Noted::default()
    };
    for entry in Reader::new(number, opened(files)) {
        match entry.found {
            Ok(record) => noted.records.push((record.seq, entry.continues)),
            Err(problem) => noted.problems.push((entry.place.to_string(), problem)),
        }
    }
    noted
}

fn opened(files: &[Vec<u8>]) -> Vec<Open> {
    let files = files.iter().enumerate();
    files
        .map(|(index, bytes)| Open::in_memory(&format!("f{index}"), bytes))
        .collect()
}

#[track_caller]
fn reads_as_replay_does(files: &[Vec<u8>]) -> Noted {
    let log = Log {
        number: 0,
        files: opened(files),
    };
    let mut noted = noted(vec![log]);
    noted.blocks = 0;
    assert_eq!(noted, expected(0, files));
    noted
}

/// So that several blocks are read at once.
fn large() -> String {
    let mut records = log();
    let (start, stop) = (records.remove(0), records.pop().unwrap());
    let mut text = lines(&[start]);
    let mut count = 1;
    while text.len() < 5 * BLOCK {
        for record in &mut records {
            count += 1;
            record.seq = count;
        }
        text.push_str(&lines(&records));
    }
    text.push_str(&lines(&[Record {
        seq: count + 1,
        ..stop
    }]));
    text
}

#[test]
fn lines_come_in_their_order_with_their_places() {
    let text = large();
    let count = text.lines().count() as u64;
    let broken = |line: &str| format!("{}\n\nno record\n", &line[..line.len() / 2]);
    let line = text.lines().nth(9).unwrap();
    let damaged = format!("{text}{}", broken(line));
    let noted = noted(in_memory(vec![text, String::new(), damaged]));
    assert_eq!(noted.logs, [0, 1, 2]);
    let numbers: Vec<u64> = noted.records.iter().map(|(number, _)| *number).collect();
    let twice: Vec<u64> = (1..=count).chain(1..=count).collect();
    assert!(numbers == twice);
    let places: Vec<&str> = noted.problems.iter().map(|(place, _)| &place[..]).collect();
    assert_eq!(
        places,
        [format!("2:{}", count + 1), format!("2:{}", count + 3)]
    );
    assert!(noted.blocks > 10, "{}", noted.blocks);
}

#[test]
fn damage_costs_the_damaged_lines_alone() {
    let text = lines(&log());
    let (first, rest) = text.split_at(text.find('\n').unwrap() + 1);
    let attempt = text.lines().nth(4).unwrap();
    let odd = [
        b"garbage\n\n\xff\xfe\n".to_vec(),
        attempt.replace("\"schema\":1", "\"schema\":2").into_bytes(),
        b"\n{\"level\":\"info\"}\n".to_vec(),
        attempt.replace("\"attempt\"", "\"tide\"").into_bytes(),
        b"\n".to_vec(),
        attempt.replace("\"bind\"", "\"weave\"").into_bytes(),
        b"\n".to_vec(),
        // A record behind the remains of another one, and one that has lost its newline.
        format!("{}{attempt}\n{attempt}{attempt}\n", &attempt[..99]).into_bytes(),
        [&[0; 77][..], attempt.as_bytes(), b"\n"].concat(),
    ];
    let bytes = [first.as_bytes(), &odd.concat(), rest.as_bytes()].concat();
    let noted = reads_as_replay_does(std::slice::from_ref(&bytes));
    assert_eq!(noted.records.len(), text.lines().count() + 4);
    assert_eq!(noted.problems.len(), 9, "{:#?}", noted.problems);
    // Cut off, too.
    let noted = reads_as_replay_does(&[bytes[..bytes.len() - 9].to_vec()]);
    let last = noted.problems.last().map(|(_, problem)| problem);
    assert_eq!(last, Some(&Problem::CutOff));
}

#[test]
fn the_files_of_a_rotated_set_are_one_run() {
    let records = log();
    let start = |seq, boot_ns| Record {
        seq,
        boot_ns: Big(boot_ns),
        ..records[0].clone()
    };
    let part = |start: Record, range: std::ops::Range<usize>| {
        lines(&[&[start][..], &records[range]].concat()).into_bytes()
    };
    let whole = [
        part(records[0].clone(), 1..5),
        part(start(5, 7), 5..9),
        part(start(9, 8), 9..records.len()),
    ];
    let noted = reads_as_replay_does(&whole);
    let continued: Vec<u64> = noted
        .records
        .iter()
        .filter(|(_, continues)| *continues)
        .map(|(seq, _)| *seq)
        .collect();
    assert_eq!((continued, noted.problems), (vec![5, 9], Vec::new()));
    // Without the one in the middle, and with a run of its own behind.
    reads_as_replay_does(&[whole[0].clone(), whole[2].clone()]);
    let noted = reads_as_replay_does(&[whole[0].clone(), part(start(1, 9), 5..9)]);
    assert_eq!(
        noted.problems,
        [
            ("f1:1".to_owned(), Problem::NoStop),
            ("f1:5".to_owned(), Problem::NoStop)
        ]
    );
}

#[test]
fn a_line_without_an_end_does_not_fill_the_memory() {
    let text = lines(&log());
    for length in [LIMIT, LIMIT + 1, LIMIT + 3 * BLOCK] {
        let long = vec![b'x'; length];
        let bytes = [&long, &b"\n"[..], text.as_bytes()].concat();
        let noted = reads_as_replay_does(&[bytes]);
        let is_too_long = noted.problems[0].1 == Problem::TooLong;
        assert_eq!(is_too_long, length > LIMIT);
        assert_eq!(noted.records.len(), text.lines().count());
        reads_as_replay_does(&[[text.as_bytes(), &long].concat()]);
    }
}

#[test]
fn a_file_that_fails_is_read_until_then() {
    struct Fails(io::Cursor<Vec<u8>>);

    impl io::Read for Fails {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(io::ErrorKind::StaleNetworkFileHandle.into()),
                read => Ok(read),
            }
        }
    }

    let text = lines(&log());
    let count = text.lines().count() as u64;
    let half = format!("{text}{}", &text[..99]);
    let file = Open {
        name: "nfs".into(),
        reader: Box::new(BufReader::new(Fails(io::Cursor::new(half.into_bytes())))),
        size: None,
    };
    let log = Log {
        number: 0,
        files: vec![file, Open::in_memory("next", text.as_bytes())],
    };
    let noted = noted(vec![log]);
    assert_eq!(noted.records.len() as u64, 2 * count);
    let [(place, Problem::Io { .. })] = &noted.problems[..] else {
        panic!("{:?}", noted.problems)
    };
    assert_eq!(*place, format!("nfs:{count}"));
}

#[test]
fn logs_are_read_in_the_order_of_their_first_records() {
    let at = |seconds: i64| {
        let text = lines(&log()[4..5]);
        text.replace(
            "2026-11-21T12:00:20",
            &crate::time::format(ns(seconds))[..19],
        )
    };
    let mut logs = in_memory(vec![
        at(30),
        format!("oops\n{}", at(10)),
        String::new(),
        at(20),
    ]);
    sort(&mut logs);
    let order: Vec<usize> = logs.iter().map(|log| log.number).collect();
    assert_eq!(order, [2, 1, 3, 0]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Bytes of a log in which some were changed to what JSON cannot have there, cut into two files somewhere.
    #[test]
    fn any_damage_is_read_as_replay_does(
        hits in proptest::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"\0\n\"\xff".to_vec())), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = lines(&log()).into_bytes();
        for (at, byte) in hits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let (one, two) = bytes.split_at(cut.index(bytes.len()));
        reads_as_replay_does(&[one.to_vec(), two.to_vec()]);
    }
}
