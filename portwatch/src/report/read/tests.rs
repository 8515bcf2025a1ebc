use super::{
    super::samples::{lines, log},
    *,
};

#[derive(Default)]
struct Noted {
    sources: Vec<String>,
    lines: Vec<(u64, u64)>,
    problems: Vec<(u64, String, bool)>,
    bytes: u64,
}

impl Sink for Noted {
    fn source(&mut self, name: &str) {
        self.sources.push(name.to_owned());
    }

    fn line(&mut self, number: u64, line: Line<'_>) {
        self.lines.push((number, line.seq));
    }

    fn unreadable(&mut self, number: u64, problem: &Problem, last: bool) {
        self.problems.push((number, problem.to_string(), last));
    }

    fn done(&mut self, bytes: u64) {
        self.bytes += bytes;
    }
}

fn noted(logs: Vec<Vec<u8>>) -> Noted {
    let mut noted = Noted::default();
    let sources = logs.into_iter().enumerate().map(|(index, log)| Source {
        name: index.to_string(),
        bytes: Box::new(io::Cursor::new(log)),
    });
    read(sources.collect(), &mut noted);
    noted
}

/// So that several blocks are read at once.
fn large() -> (String, u64) {
    let mut records = log();
    let start = records.remove(0);
    let mut text = lines(&[start]);
    let mut count = 1;
    while text.len() < 5 * BLOCK {
        for record in &mut records {
            count += 1;
            record.seq = count;
        }
        text.push_str(&lines(&records));
    }
    let lines = text.lines().count() as u64;
    (text, lines)
}

#[test]
fn lines_come_in_their_order_with_their_numbers() {
    let (text, count) = large();
    let expected = text.len() as u64 * 2;
    let noted = noted(vec![
        text.clone().into_bytes(),
        Vec::new(),
        text.into_bytes(),
    ]);
    assert_eq!(noted.sources, ["0", "1", "2"]);
    let numbers: Vec<u64> = noted.lines.iter().map(|(number, _)| *number).collect();
    let twice: Vec<u64> = (1..=count).chain(1..=count).collect();
    assert!(numbers == twice);
    assert!(noted.problems.is_empty(), "{:?}", noted.problems);
    assert_eq!(noted.bytes, expected);
}

#[test]
fn damage_costs_the_damaged_lines_alone() {
    let text = lines(&log());
    let good = text.lines().count() as u64;
    let mut bytes = b"garbage\n\n\xff\xfe\n".to_vec();
    bytes.extend_from_slice(text.as_bytes());
    bytes.extend_from_slice(&text.as_bytes()[..100]);
    let noted = noted(vec![bytes]);
    let numbers: Vec<u64> = noted.lines.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (4..4 + good).collect::<Vec<_>>());
    let places: Vec<_> = noted
        .problems
        .iter()
        .map(|(number, _, last)| (*number, *last))
        .collect();
    assert_eq!(places, [(1, false), (3, false), (4 + good, true)]);
}

#[test]
fn a_line_without_an_end_does_not_fill_the_memory() {
    let text = lines(&log());
    let mut bytes = vec![b'x'; LONGEST + 3 * BLOCK];
    bytes.push(b'\n');
    bytes.extend_from_slice(text.as_bytes());
    let noted = noted(vec![bytes]);
    assert_eq!(noted.problems.len(), 1, "{:?}", noted.problems);
    assert!(noted.problems[0].1.contains("longer than 16 MiB"));
    assert_eq!(noted.lines.first(), Some(&(2, 1)));
    assert_eq!(noted.lines.len(), text.lines().count());
}

#[test]
fn a_source_that_fails_is_read_until_then() {
    struct Fails(io::Cursor<Vec<u8>>);

    impl Read for Fails {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(io::ErrorKind::StaleNetworkFileHandle.into()),
                read => Ok(read),
            }
        }
    }

    let text = lines(&log());
    let count = text.lines().count();
    let mut noted = Noted::default();
    let source = Source {
        name: "nfs".to_owned(),
        bytes: Box::new(Fails(io::Cursor::new(text.into_bytes()))),
    };
    read(vec![source], &mut noted);
    assert_eq!(noted.lines.len(), count);
    assert!(
        noted.problems[0].1.starts_with("cannot read on"),
        "{:?}",
        noted.problems
    );
}
