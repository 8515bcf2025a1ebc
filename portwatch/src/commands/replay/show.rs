//! Shows records as `trace` showed them.

use std::{
    collections::{BTreeSet, HashMap},
    io::{self, Write},
};

use jiff::tz::TimeZone;

use crate::cli::replay::ReplayArgs;
use portwatch_core::{model::record::Body, words::escape::escape};
use portwatch_log::{cli::FormatArg, json::to_text, reading::Found, text::Text, theme::Theme};

/// Tells records as `portwatch trace` did. Each run of it has a renderer of its own, as it had when it was live.
#[derive(Debug)]
pub(super) struct Told {
    format: FormatArg,
    theme: Theme,
    /// A renderer that has told nothing.
    fresh: Text,
    /// Every host that a log has named. If there are several, each line says whose it is.
    hosts: BTreeSet<String>,
    /// By log.
    runs: HashMap<usize, Run>,
    /// Lines of one record.
    lines: Vec<u8>,
}

/// The run of a log that is being shown.
#[derive(Debug)]
struct Run {
    text: Text,
    host: Option<String>,
}

impl Told {
    /// `hosts` are those that are known before.
    pub(super) fn new<'a>(args: &ReplayArgs, hosts: impl Iterator<Item = &'a str>) -> Self {
        let theme = Theme::for_stdout(args.color.into());
        let text = Text::new(theme, TimeZone::system());
        Self {
            format: args.format.unwrap_or(FormatArg::Text),
            theme,
            fresh: if args.every {
                text.with_every_attempt()
            } else {
                text
            },
            hosts: hosts.map(str::to_owned).collect(),
            runs: HashMap::new(),
            lines: Vec::new(),
        }
    }

    pub(super) fn record(&mut self, found: &Found, out: &mut impl Write) -> io::Result<()> {
        let run = self.runs.entry(found.place.log).or_insert_with(|| Run {
            text: self.fresh.clone(),
            host: None,
        });
        if let Body::Start(start) = &found.record.body {
            if !found.continues {
                run.text = self.fresh.clone();
                run.host = Some(start.host.clone());
                self.hosts.insert(start.host.clone());
            } else if self.format == FormatArg::Text {
                // The run that is being shown goes on in another file.
                return Ok(());
            }
        }
        let host = run.host.as_deref().filter(|_| self.hosts.len() > 1);
        if self.format == FormatArg::Json {
            return json(
                &found.text,
                host,
                matches!(found.record.body, Body::Start(_)),
                out,
            );
        }
        self.lines.clear();
        run.text.record(&found.record, &mut self.lines)?;
        let Some(host) = host else {
            return out.write_all(&self.lines);
        };
        let shown = |host: &str| escape(host).to_string();
        let columns = self
            .hosts
            .iter()
            .map(|host| shown(host).chars().count())
            .max();
        let columns = columns.unwrap_or_default();
        let Theme { label, .. } = self.theme;
        let host = shown(host);
        for line in self.lines.split_inclusive(|byte| *byte == b'\n') {
            write!(out, "{label}{host:<columns$}{label:#} | ")?;
            out.write_all(line)?;
        }
        Ok(())
    }
}

/// The line as it was recorded, so that nothing is lost that this version does not know; with the host where there are
/// several, which a `start` names itself.
fn json(text: &str, host: Option<&str>, is_start: bool, out: &mut impl Write) -> io::Result<()> {
    match (host, text.strip_suffix('}')) {
        (Some(host), Some(open)) if !is_start => {
            writeln!(out, "{open},\"host\":{}}}", to_text(&host.into()))
        }
        _ => writeln!(out, "{text}"),
    }
}

#[cfg(test)]
mod tests;
