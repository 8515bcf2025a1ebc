use std::{
    fs::{self, File},
    io::{BufRead, BufReader, PipeReader, pipe},
    os::fd::AsFd,
    path::Path,
    time::Duration,
};

use super::*;
use crate::sink::{Format, IfExists, Rotation};
use portwatch_core::samples;
use portwatch_log::json::from_line;

fn file(path: &Path) -> Sink {
    let rotation = Rotation::default();
    let opened = Sink::file(Format::Json, path, IfExists::Refuse, rotation);
    opened.unwrap().0
}

fn slow() -> (Sink, PipeReader) {
    let (reader, writer) = pipe().unwrap();
    let writer = File::from(writer.as_fd().try_clone_to_owned().unwrap());
    (Sink::stream(Format::Json, "pipe", writer), reader)
}

fn outlet(sinks: Vec<Sink>, count: Option<u64>) -> (Outlet, oneshot::Receiver<()>) {
    let (sender, enough) = oneshot::channel();
    let limits = Limits {
        waiting: 64,
        hold_up: Duration::from_secs(1),
    };
    (Outlet::new(sinks, count, sender, limits).unwrap(), enough)
}

fn attempt(seq: u64) -> Record {
    Record {
        seq,
        ..samples::of(samples::attempt())
    }
}

fn start() -> Record {
    Record {
        seq: 1,
        ..samples::start()
    }
}

fn records(path: &Path) -> Vec<Record> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| from_line(line).unwrap()).collect()
}

#[test]
fn attempts_alone_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.jsonl");
    let (mut outlet, mut enough) = outlet(vec![file(&path)], Some(2));
    for record in [
        samples::start(),
        samples::of_port(samples::taken()),
        samples::of(samples::attempt()),
        samples::of_time_wait(samples::entered()),
    ] {
        outlet.write(record);
        assert!(!outlet.is_full());
    }
    assert_eq!(enough.try_recv(), Err(oneshot::error::TryRecvError::Empty));
    outlet.write(samples::of(samples::attempt()));
    assert!(outlet.is_full());
    assert_eq!(enough.try_recv(), Ok(()));
    assert_eq!(outlet.told(), 2);
    assert_eq!(outlet.finish(), []);
    assert_eq!(records(&path).len(), 5);
}

/// The pipe is full, and so is its queue: the file has everything, and the pipe has a gap where it went on.
#[test]
fn one_that_stands_still_does_not_disturb_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log.jsonl");
    let (pipe, reader) = slow();
    let (mut outlet, _enough) = outlet(vec![pipe, file(&path)], None);
    outlet.write(start());
    outlet.flush();
    let last = 2000;
    for seq in 2..=last {
        outlet.write(attempt(seq));
        outlet.flush();
    }
    let unfinished = outlet.unfinished();
    assert_eq!(unfinished.names().len(), 2);
    let reading = std::thread::spawn(move || {
        let lines = BufReader::new(reader).lines();
        lines
            .map(|line| from_line(&line.unwrap()).unwrap())
            .collect::<Vec<_>>()
    });
    let dropped = outlet.finish();
    assert!(unfinished.names().is_empty());

    let all = records(&path);
    assert_eq!(all.len() as u64, last);
    let piped = reading.join().unwrap();
    let [of_pipe] = &dropped[..] else {
        panic!("{dropped:?}")
    };
    assert_eq!(of_pipe.name, "pipe");
    let gap = piped.last().unwrap();
    let Body::Lost(gone) = &gap.body else {
        panic!("{gap:?}")
    };
    assert_eq!((gone.kind.as_str(), gone.count), ("output", of_pipe.count));
    assert_eq!(gap.seq, last);
    let before = &piped[..piped.len() - 1];
    assert_eq!(before, &all[..before.len()], "what was taken is there");
    assert_eq!(before.len() as u64 + gone.count, last);
}

/// A gap is reported as soon as there is room, even if nothing happens any more.
#[test]
fn a_gap_is_told_without_a_next_record() {
    let (pipe, reader) = slow();
    let (mut outlet, _enough) = outlet(vec![pipe], None);
    outlet.write(start());
    for seq in 2..=2000 {
        outlet.write(attempt(seq));
        outlet.flush();
    }
    let (found, gap) = std::sync::mpsc::channel();
    let reading = std::thread::spawn(move || {
        for line in BufReader::new(reader).lines() {
            if let Body::Lost(lost) = from_line(&line.unwrap()).unwrap().body {
                let _ = found.send(lost);
            }
        }
    });
    let lost = loop {
        outlet.flush();
        if let Ok(lost) = gap.recv_timeout(Duration::from_millis(1)) {
            break lost;
        }
    };
    assert_eq!(lost.kind, "output");
    assert_eq!(outlet.finish()[0].count, lost.count);
    reading.join().unwrap();
}

#[test]
fn the_end_comes_when_all_readers_are_gone() {
    let ((one, first), (other, second)) = (slow(), slow());
    let (mut outlet, mut enough) = outlet(vec![one, other], None);
    outlet.write(start());
    drop(first);
    outlet.flush();
    while outlet.unfinished().names().len() == 2 {
        outlet.write(attempt(2));
        outlet.flush();
    }
    assert_eq!(enough.try_recv(), Err(oneshot::error::TryRecvError::Empty));
    drop(second);
    outlet.write(attempt(3));
    outlet.flush();
    assert_eq!(enough.blocking_recv(), Ok(()));
    outlet.finish();
}
