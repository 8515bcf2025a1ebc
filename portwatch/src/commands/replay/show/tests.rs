use std::{fs, path::Path};

use anstream::ColorChoice;

use super::*;
use crate::sink::{self, IfExists, Rotation, Sink};
use portwatch_core::model::record::Record;
use portwatch_core::samples;
use portwatch_log::{cli::ColorArg, reading::Reading};

fn args(format: FormatArg, color: ColorArg) -> ReplayArgs {
    ReplayArgs {
        logs: portwatch_log::cli::LogArgs::default(),
        recheck: false,
        filter: portwatch_log::cli::FilterArgs::default(),
        every: false,
        failures: false,
        format: Some(format),
        color,
    }
}

fn write(format: sink::Format, path: &Path, records: &[Record]) {
    let (mut sink, _) = Sink::file(format, path, IfExists::Refuse, Rotation::default()).unwrap();
    for record in records {
        assert!(matches!(sink.record(record), sink::Outcome::Fine));
    }
    assert!(matches!(sink.flush(), sink::Outcome::Fine));
}

fn replayed(paths: &[&Path], format: FormatArg, color: ColorArg) -> String {
    replayed_with(&args(format, color), paths)
}

fn replayed_with(args: &ReplayArgs, paths: &[&Path]) -> String {
    let paths = paths.iter().map(|path| path.to_path_buf()).collect();
    let reading = Reading::open(paths, false).unwrap();
    let mut told = Told::new(args, reading.hosts());
    let mut out = Vec::new();
    for found in reading {
        told.record(&found, &mut out).unwrap();
    }
    String::from_utf8(out).unwrap()
}

/// The same records go to two sinks at once: the log of one is replayed to what the other has.
#[test]
fn what_is_replayed_from_a_log_is_what_was_told_live() {
    let dir = tempfile::tempdir().unwrap();
    let records = samples::all();
    for (color, theme) in [
        (ColorArg::Never, Theme::for_stdout(ColorChoice::Never)),
        (ColorArg::Always, Theme::for_stdout(ColorChoice::Always)),
    ] {
        let [text, json] =
            ["txt", "jsonl"].map(|kind| dir.path().join(format!("{color:?}.{kind}")));
        let zone = TimeZone::system();
        write(sink::Format::Text(Text::new(theme, zone)), &text, &records);
        write(sink::Format::Json, &json, &records);
        assert_eq!(
            replayed(&[&json], FormatArg::Text, color),
            fs::read_to_string(&text).unwrap()
        );
        let lines = fs::read_to_string(&json).unwrap();
        assert_eq!(replayed(&[&json], FormatArg::Json, color), lines);
    }
}

#[test]
fn retries_are_left_out_unless_every_one_is_wanted() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log.jsonl");
    let failed = samples::conflict(vec![samples::listener()], Some(samples::verdict()));
    let retry = || samples::of(samples::retried(failed.clone(), 1));
    let records = [samples::start(), retry(), retry(), retry()];
    write(sink::Format::Json, &log, &records);
    let folded = args(FormatArg::Text, ColorArg::Never);
    let every = ReplayArgs {
        every: true,
        ..args(FormatArg::Text, ColorArg::Never)
    };
    for (args, shown) in [(folded, 1), (every, 3)] {
        let text = replayed_with(&args, &[&log]);
        assert_eq!(text.matches("EADDRINUSE").count(), shown, "{text}");
    }
}

#[test]
fn lines_of_several_hosts_say_whose_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let other: Vec<Record> = samples::all()
        .into_iter()
        .map(|mut record| {
            if let Body::Start(start) = &mut record.body {
                start.host = "db\x1b\"7".to_owned();
            }
            record
        })
        .collect();
    let [web, db] = ["web", "db"].map(|name| dir.path().join(name));
    write(sink::Format::Json, &web, &samples::all());
    write(sink::Format::Json, &db, &other);
    let text = replayed(&[&web, &db], FormatArg::Text, ColorArg::Never);
    let alone = replayed(&[&web], FormatArg::Text, ColorArg::Never);
    let of = |name: &str| -> Vec<String> {
        let lines = text.lines().map(|line| line.split_once(" | ").unwrap());
        let of_host = lines.filter(|(host, _)| host.starts_with(name));
        of_host.map(|(_, line)| line.to_owned()).collect()
    };
    assert_eq!(of("web1"), alone.lines().collect::<Vec<_>>());
    assert_eq!(of("db").len(), of("web1").len(), "{text}");
    let columns = |line: &str| line.split(" | ").next().unwrap().chars().count();
    let width = columns(text.lines().next().unwrap());
    assert!(text.lines().all(|line| columns(line) == width), "{text}");
    assert!(!text.contains('\x1b'));
    let json = replayed(&[&web, &db], FormatArg::Json, ColorArg::Never);
    let hosts: Vec<String> = json
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["host"].to_string())
        .collect();
    let count = samples::all().len();
    assert_eq!(
        hosts.iter().filter(|host| *host == "\"web1\"").count(),
        count
    );
    assert_eq!(hosts.len(), 2 * count);
    assert!(!json.contains('\x1b'));
}
