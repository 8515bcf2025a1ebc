//! `portwatch report`: what logs say as a whole.

mod page;

use std::{
    env, fs,
    io::{self, BufWriter, Write, stdout},
    os::unix::fs::MetadataExt,
    path::Path,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anstream::ColorChoice;
use anyhow::{Context, Result, bail};
use jiff::tz::TimeZone;

use self::page::Page;
use crate::{
    gather::{Gather, Wanted},
    html,
    line::Line,
    markdown,
    read::{self, Log, Sink},
    summary::Summary,
    text::{self, Look, Symbols},
};
use portwatch_core::words::escape::escape;
use portwatch_log::reading::problems::{Output, Problems};
use portwatch_log::{
    Place, Problem,
    cli::{
        ColorArg, LogArgs,
        report::{ReportArgs, ReportFormat},
    },
    input::{Input, Open},
    logs,
    theme::Theme,
};

/// Columns where standard output is no terminal.
const WIDTH: usize = 100;
/// Columns at most: in wider pictures the eye loses the line.
const WIDEST: usize = 240;

/// Reads the logs, and shows what they say.
///
/// # Errors
///
/// When a log cannot be opened or read to its end, when there is no record in any, or when the report cannot be written.
pub fn run(args: &ReportArgs) -> Result<ExitCode> {
    if let Some(path) = args.html.as_deref().filter(|path| is_log(path, &args.logs)) {
        bail!(
            "{} is one of the logs; choose another name for the page",
            escape(&path.to_string_lossy())
        );
    }
    let page = args
        .html
        .as_deref()
        .map(|path| Page::create(path, args.force))
        .transpose()?;
    let (logs, mut problems, bytes) = open(&args.logs)?;
    let mut found = Gather::new(Wanted {
        ports: args.filter.ports.clone(),
        causes: args.causes.iter().map(|cause| cause.0).collect(),
        since: args.filter.since.map(nanoseconds),
        until: args.filter.until.map(nanoseconds),
    });
    let mut reading = Reading {
        found: &mut found,
        problems: &mut problems,
        log: 0,
        bytes: &bytes,
    };
    read::read(logs, &mut reading);
    found.finish();
    let ended = problems.finish();
    if found.records == 0 {
        return ended.map(|()| ExitCode::SUCCESS);
    }
    tell(args, &found, page)?;
    // The report shows what could be read all the same.
    ended.map(|()| ExitCode::SUCCESS)
}

/// Reads into the report, and tells problems meanwhile.
struct Reading<'a> {
    found: &'a mut Gather,
    problems: &'a mut Problems,
    log: usize,
    bytes: &'a AtomicU64,
}

impl Sink for Reading<'_> {
    fn log(&mut self, log: usize) {
        self.log = log;
        self.found.log(log);
    }

    fn line(&mut self, line: &Line<'_>, continues: bool) {
        self.problems.record(self.log);
        self.found.line(line, continues);
    }

    fn problem(&mut self, place: &Place, problem: &Problem) {
        self.problems.tell(place, problem);
        self.found.problem(place, problem);
    }

    fn block(&mut self) {
        self.problems
            .show_progress(self.bytes.load(Ordering::Relaxed));
    }
}

/// A page in place of a log that it is made of would be the end of the log.
fn is_log(page: &Path, args: &LogArgs) -> bool {
    let id = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    let inputs = logs(args.files.clone(), args.rotated)
        .into_iter()
        .flat_map(|log| log.inputs);
    id(page).is_some_and(|page| {
        inputs.into_iter().any(|input| match input {
            Input::File(path) => id(&path) == Some(page),
            Input::Stdin => false,
        })
    })
}

/// Opens all files of all logs, so that none of them is renamed away while the others are read. With them comes how many
/// bytes have been read.
fn open(args: &LogArgs) -> Result<(Vec<Log>, Problems, Arc<AtomicU64>)> {
    let sets = logs(args.files.clone(), args.rotated);
    let bytes = Arc::default();
    let mut size = Some(0);
    let mut logs = Vec::new();
    for (number, set) in sets.iter().enumerate() {
        let files = set.inputs.iter().map(|input| input.open(&bytes));
        let files: Vec<Open> = files.collect::<Result<_, _>>()?;
        for file in &files {
            size = size
                .zip(file.size)
                .map(|(size, file): (u64, u64)| size + file);
        }
        logs.push(Log { number, files });
    }
    read::sort(&mut logs);
    let problems = Problems::new(&sets, size, Output::AtEnd);
    Ok((logs, problems, bytes))
}

fn tell(args: &ReportArgs, found: &Gather, page: Option<Page>) -> Result<()> {
    if let Some(page) = page {
        page.write(|out| html::write(found, out))?;
        // The page says it all; a format that was asked for beside it is written, too.
        if args.format.is_none() {
            return Ok(());
        }
    }
    let mut out = BufWriter::new(stdout().lock());
    let written = show(args, found, &mut out).and_then(|()| out.flush());
    match written {
        // The reader has gone: a normal end.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write the report"),
    }
}

fn show(args: &ReportArgs, found: &Gather, out: &mut dyn Write) -> io::Result<()> {
    let summary = Summary::new(found, args.top);
    match args.format.unwrap_or(ReportFormat::Text) {
        ReportFormat::Text => {
            let look = Look {
                theme: Theme::for_stdout(match args.color {
                    ColorArg::Auto => ColorChoice::Auto,
                    ColorArg::Always => ColorChoice::Always,
                    ColorArg::Never => ColorChoice::Never,
                }),
                zone: TimeZone::system(),
                width: args.width.map_or_else(width, usize::from).clamp(30, 1000),
                symbols: if utf8() {
                    Symbols::UNICODE
                } else {
                    Symbols::ASCII
                },
                top: args.top,
            };
            text::write(found, &summary, &look, out)
        }
        ReportFormat::Json => {
            serde_json::to_writer_pretty(&mut *out, &summary).map_err(io::Error::from)?;
            writeln!(out)
        }
        ReportFormat::Markdown => markdown::write(&summary, args.top, out),
    }
}

fn nanoseconds(time: jiff::Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX)
}

/// Of the terminal.
fn width() -> usize {
    terminal_size::terminal_size_of(stdout()).map_or(WIDTH, |(terminal_size::Width(columns), _)| {
        usize::from(columns).min(WIDEST)
    })
}

/// Whether the locale says that the terminal shows UTF-8.
fn utf8() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()));
    locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}
