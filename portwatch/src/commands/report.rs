//! `portwatch report`: what logs say as a whole.

mod page;
mod progress;

use std::{
    env, fs,
    io::{self, BufWriter, IsTerminal, Write, stderr, stdout},
    os::unix::fs::MetadataExt,
    path::Path,
    process::ExitCode,
    sync::Arc,
};

use anstream::ColorChoice;
use anyhow::{Context, Result, bail};
use jiff::tz::TimeZone;

use self::{page::Page, progress::Progress};
use crate::{
    cli::{ColorArg, ReportArgs, ReportFormat},
    log::{input::Input, logs},
    output::{escape::escape, theme::Theme},
    report::{
        gather::{Gather, Wanted},
        html, markdown,
        read::{self, Source},
        summary::Summary,
        text::{self, Look, Symbols},
    },
};

/// Columns where standard output is no terminal.
const WIDTH: usize = 100;
/// Columns at most: in wider pictures the eye loses the line.
const WIDEST: usize = 240;
/// Unreadable lines that are told each by itself.
const TOLD: usize = 5;

/// Reads the logs, and shows what they say.
///
/// # Errors
///
/// If a log cannot be opened, or nothing in them can be read, or the report cannot be written.
pub fn run(args: &ReportArgs) -> Result<ExitCode> {
    if let Some(path) = args.html.as_deref().filter(|path| is_log(path, args)) {
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
    let (sources, bytes) = open(args)?;
    let mut found = Gather::new(Wanted {
        ports: args.ports.clone(),
        causes: args.causes.iter().map(|cause| cause.0).collect(),
        since: args.since.map(|time| nanoseconds(time.0)),
        until: args.until.map(|time| nanoseconds(time.0)),
    });
    let progress = stderr().is_terminal().then(|| Progress::new(bytes));
    if let Some(progress) = &progress {
        found.on_progress(progress.counter());
    }
    read::read(sources, &mut found);
    found.finish();
    drop(progress);
    tell_unreadable(&found)?;
    if let Some(page) = page {
        page.write(|out| html::write(&found, out))?;
        // The page says it all; what was asked for beside is told, too.
        if args.format.is_none() {
            return Ok(ExitCode::SUCCESS);
        }
    }
    let mut out = BufWriter::new(stdout().lock());
    let written = show(args, &found, &mut out).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error).context("cannot write the report"),
        Ok(()) => Ok(ExitCode::SUCCESS),
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

/// The logs, and how long they are together; `None` where that is not known.
fn open(args: &ReportArgs) -> Result<(Vec<Source>, Option<u64>)> {
    let mut sources = Vec::new();
    let mut total = Some(0);
    let logs = logs(args.files.clone(), args.rotated);
    for input in logs.into_iter().flat_map(|log| log.inputs) {
        let opened = input.open(&Arc::default())?;
        let size = opened.size.filter(|_| !opened.packed);
        total = total
            .zip(size)
            .map(|(total, size): (u64, u64)| total + size);
        sources.push(Source {
            name: match input {
                Input::Stdin => "standard input".to_owned(),
                Input::File(_) => opened.name.to_string(),
            },
            bytes: Box::new(opened.reader),
        });
    }
    Ok((sources, total))
}

/// A page in place of a log that it is made of would be the end of the log.
fn is_log(page: &Path, args: &ReportArgs) -> bool {
    let id = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    id(page).is_some_and(|page| args.files.iter().any(|log| id(log) == Some(page)))
}

/// What could not be read is said, and everything else is used.
fn tell_unreadable(found: &Gather) -> Result<()> {
    for line in found.unreadable.iter().take(TOLD) {
        let what = if line.cut {
            "the last line is cut off"
        } else {
            &line.why
        };
        anstream::eprintln!(
            "portwatch: {}, line {}: {}",
            line.source,
            line.line,
            escape(what)
        );
    }
    let more = found.unreadable_lines.saturating_sub(TOLD as u64);
    if more > 0 {
        anstream::eprintln!("portwatch: and {more} more lines that could not be read");
    }
    if found.records == 0 && found.unreadable_lines > 0 {
        bail!(
            "no line is a record of portwatch; `portwatch trace --format json` or `-o FILE` writes them"
        );
    }
    Ok(())
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
