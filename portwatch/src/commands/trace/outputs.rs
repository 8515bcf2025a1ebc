//! Opens what records are written to: standard output, and files, each in its own format.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use anstream::ColorChoice;
use anyhow::{Context, Result, bail};
use jiff::tz::TimeZone;

use crate::{
    cli::{STDOUT, TraceArgs},
    sink::{Format, IfExists, Rotation, Sink, show},
};
use portwatch_log::{
    cli::{ColorArg, FormatArg},
    text::Text,
    theme::Theme,
};

/// How many older files are kept unless said otherwise.
const KEEP: u32 = 7;

/// Opens all of them. Where one cannot be opened, none is left behind that was made for this.
pub(super) fn open(args: &TraceArgs) -> Result<Vec<Sink>> {
    if args.output.is_empty() {
        return Ok(vec![stdout(args)?]);
    }
    if args.files().next().is_none()
        && (args.append || args.rotate_size.is_some() || args.rotate_age.is_some())
    {
        bail!("standard output is neither added to nor rotated; name a file with -o");
    }
    let mut made = Made::default();
    let mut sinks = Vec::new();
    for (index, path) in args.output.iter().enumerate() {
        if args.output[..index].contains(path) {
            bail!("-o {} is given twice; name every output once", show(path));
        }
        if path.as_os_str() == STDOUT {
            sinks.push(stdout(args)?);
            continue;
        }
        // Those before it exist by now.
        let same = args.output[..index]
            .iter()
            .find(|other| is_same(other, path));
        if let Some(other) = same {
            let [other, path] = [other, path].map(|path| show(path));
            bail!("-o {other} and -o {path} are the same file; name every output once");
        }
        sinks.push(file(args, path, &mut made)?);
    }
    made.keep();
    Ok(sinks)
}

fn is_same(one: &Path, other: &Path) -> bool {
    let id = |path: &Path| {
        let metadata = path.symlink_metadata().ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    id(one).is_some() && id(one) == id(other)
}

fn stdout(args: &TraceArgs) -> Result<Sink> {
    let theme = match args.color {
        ColorArg::Always => Theme::for_stdout(ColorChoice::Always),
        ColorArg::Auto => Theme::for_stdout(ColorChoice::Auto),
        ColorArg::Never => Theme::plain(),
    };
    let format = format(args.format.unwrap_or(FormatArg::Text), theme, args);
    Sink::stdout(format).context("opening standard output")
}

fn file(args: &TraceArgs, path: &Path, made: &mut Made) -> Result<Sink> {
    refuse_compressed(path)?;
    let theme = match args.color {
        ColorArg::Always => Theme::for_stdout(ColorChoice::Always),
        ColorArg::Auto | ColorArg::Never => Theme::plain(),
    };
    let exists = if args.append {
        IfExists::Append
    } else {
        IfExists::Refuse
    };
    let rotation = Rotation {
        size: args.rotate_size,
        age: args.rotate_age,
        keep: args.keep.unwrap_or(KEEP),
    };
    let is_new = path.symlink_metadata().is_err();
    let format = format(format_of(path, args.format), theme, args);
    let (sink, repair) = Sink::file(format, path, exists, rotation)?;
    if is_new {
        made.paths.push(path.to_owned());
    }
    if let Some(repair) = repair {
        anstream::eprintln!("portwatch: {repair}");
    }
    Ok(sink)
}

fn format(format: FormatArg, theme: Theme, args: &TraceArgs) -> Format {
    let text = || Text::new(theme, TimeZone::system());
    match format {
        FormatArg::Json => Format::Json,
        FormatArg::Text if args.every => Format::Text(text().with_every_attempt()),
        FormatArg::Text => Format::Text(text()),
    }
}

/// The format of a file: what its name says, else what was asked for.
fn format_of(path: &Path, asked: Option<FormatArg>) -> FormatArg {
    let extension = path.extension().unwrap_or_default();
    match extension.to_str() {
        Some("json" | "jsonl" | "ndjson") => FormatArg::Json,
        Some("txt" | "text") => FormatArg::Text,
        Some("log") => asked.unwrap_or(FormatArg::Text),
        _ => asked.unwrap_or(FormatArg::Json),
    }
}

/// What the name promises must be in the file.
fn refuse_compressed(path: &Path) -> Result<()> {
    let extension = path.extension().and_then(OsStr::to_str);
    if let Some(extension @ ("gz" | "bz2" | "xz" | "zst" | "zip")) = extension {
        bail!(
            "-o {}: portwatch writes no compressed files; leave out .{extension}, and compress what is closed, as logrotate \
             does (replay and report read .gz)",
            show(path)
        );
    }
    Ok(())
}

/// Files that were made, and are removed again when the start fails.
#[derive(Debug, Default)]
struct Made {
    paths: Vec<PathBuf>,
}

impl Made {
    fn keep(mut self) {
        self.paths.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for path in &self.paths {
            // Empty files: that one remains is no harm.
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_promises_compression_is_refused() {
        let refused = |name| refuse_compressed(Path::new(name)).unwrap_err().to_string();
        assert!(refused("/var/log/binds.jsonl.gz").contains("leave out .gz"));
        assert!(refused("binds.zst").contains("leave out .zst"));
        for name in ["binds", "binds.jsonl", "gz", ".gz", "binds.gz.1"] {
            assert!(refuse_compressed(Path::new(name)).is_ok(), "{name}");
        }
    }

    #[test]
    fn the_name_of_a_file_says_its_format() {
        use FormatArg::{Json, Text};
        for (name, asked, expected) in [
            ("binds.jsonl", None, Json),
            ("binds.jsonl", Some(Text), Json),
            ("binds.json", None, Json),
            ("binds.txt", None, Text),
            ("binds.txt", Some(Json), Text),
            ("/var/log/binds.log", None, Text),
            ("/var/log/binds.log", Some(Json), Json),
            ("binds", None, Json),
            ("binds", Some(Text), Text),
        ] {
            let format = format_of(Path::new(name), asked);
            assert_eq!(format, expected, "{name} {asked:?}");
        }
    }
}
