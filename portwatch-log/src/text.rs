//! Records as people read them on a terminal.
//!
//! An attempt is one line; its blocker follows, indented, each fact behind its label. The text is a pure
//! function of the records and the time zone: a log replayed later shows what the terminal showed.

mod attempt;
mod episode;
mod failure;
mod fold;
mod inheritance;
mod keeper;
mod port;
mod time_wait;
mod who;

use std::io::{self, Write};

use jiff::{Timestamp, Zoned, civil::Date, tz::TimeZone};

use self::fold::{Folds, Shown};
use super::theme::Theme;
use portwatch_core::model::{
    number::Big,
    record::{Body, Lost, Record, Start, Stop},
};
use portwatch_core::words::escape::escape;

/// Renders records one after the other.
#[derive(Clone, Debug)]
pub struct Text {
    theme: Theme,
    zone: TimeZone,
    /// The local date of what was rendered last: lines show the time of day alone.
    day: Option<Date>,
    /// `None` to show every attempt in full.
    folds: Option<Folds>,
    /// The host's own network namespace.
    netns: Option<u32>,
}

impl Text {
    /// Text in these colours, with times of this zone. Retries that fail as before are left out, but for a line now and
    /// then.
    #[must_use]
    pub fn new(theme: Theme, zone: TimeZone) -> Self {
        Self {
            theme,
            zone,
            day: None,
            folds: Some(Folds::default()),
            netns: None,
        }
    }

    /// The same, with every attempt in full.
    #[must_use]
    pub fn with_every_attempt(mut self) -> Self {
        self.folds = None;
        self
    }

    /// Writes the lines of one record, each with its newline.
    ///
    /// # Errors
    ///
    /// What `out` fails with.
    pub fn record(&mut self, record: &Record, out: &mut impl Write) -> io::Result<()> {
        let moment = self.moment(record);
        if let Body::Start(start) = &record.body {
            self.netns = start.netns;
            self.day = moment.local.as_ref().map(Zoned::date);
            return self.start(start, &moment, out);
        }
        let shown = self.shown(record);
        if shown == Shown::Nothing {
            return Ok(());
        }
        self.date_line(&moment, out)?;
        match &record.body {
            Body::Start(_) => Ok(()),
            Body::Attempt(attempt) => self.attempt(attempt, &shown, &moment, out),
            Body::Port(port) => self.port(port, &moment, out),
            Body::TimeWait(time_wait) => self.time_wait(time_wait, &moment, out),
            Body::Episode(episode) => self.episode(episode, &moment, out),
            Body::Lost(lost) => self.lost(lost, &moment, out),
            Body::Stop(stop) => self.stop(stop, &moment, out),
        }
    }

    /// Forgets what was rendered last, because it has not been written: the next line is preceded by the date, and the
    /// next failure is shown in full.
    pub fn forget(&mut self) {
        self.day = None;
        if let Some(folds) = &mut self.folds {
            folds.forget_all();
        }
    }

    fn shown(&mut self, record: &Record) -> Shown {
        let Some(folds) = &mut self.folds else {
            return Shown::Full;
        };
        match &record.body {
            Body::Attempt(attempt) => folds.heed(attempt, record.boot_ns.0),
            Body::Episode(episode) => {
                folds.forget(episode.id);
                let is_told = episode::is_told(episode);
                if is_told { Shown::Full } else { Shown::Nothing }
            }
            _ => Shown::Full,
        }
    }

    fn moment<'a>(&self, record: &'a Record) -> Moment<'a> {
        let time: Option<Timestamp> = record.time.parse().ok();
        let local = time.map(|time| time.to_zoned(self.zone.clone()));
        Moment {
            raw: &record.time,
            local,
            boot_ns: record.boot_ns,
        }
    }

    /// `raw` (RFC 3339) as a time of day, with the date in front where that is not the moment's.
    fn time_of_day(&self, raw: &str, moment: &Moment<'_>) -> String {
        let Ok(time) = raw.parse::<Timestamp>() else {
            return escape(raw).to_string();
        };
        let local = time.to_zoned(self.zone.clone());
        let same_day = moment
            .local
            .as_ref()
            .is_some_and(|now| now.date() == local.date());
        local
            .strftime(if same_day {
                "%H:%M:%S"
            } else {
                "%Y-%m-%d %H:%M:%S"
            })
            .to_string()
    }

    fn date_line(&mut self, moment: &Moment<'_>, out: &mut impl Write) -> io::Result<()> {
        let Some(local) = &moment.local else {
            return Ok(());
        };
        if self.day == Some(local.date()) {
            return Ok(());
        }
        self.day = Some(local.date());
        let faint = self.theme.faint;
        writeln!(
            out,
            "{faint}-- {} --{faint:#}",
            local.strftime("%Y-%m-%d %:z")
        )
    }

    fn start(&self, start: &Start, moment: &Moment<'_>, out: &mut impl Write) -> io::Result<()> {
        let Theme { faint, .. } = self.theme;
        let Start {
            version,
            host,
            kernel,
            arch,
            ..
        } = start;
        let when = moment.local.as_ref().map_or_else(
            || escape(moment.raw).to_string(),
            |local| local.strftime("%Y-%m-%d %H:%M:%S %:z").to_string(),
        );
        writeln!(
            out,
            "{faint}-- {when}, {host}, Linux {kernel} {arch}, portwatch {version} --{faint:#}",
            host = escape(host),
            kernel = escape(kernel),
            arch = escape(arch),
            version = escape(version),
        )
    }

    fn lost(&self, lost: &Lost, moment: &Moment<'_>, out: &mut impl Write) -> io::Result<()> {
        let Theme { faint, bad, .. } = self.theme;
        let Lost {
            kind,
            count,
            from,
            to,
        } = lost;
        let what = match (kind.as_str(), *count) {
            ("attempt", 1) => "attempt".to_owned(),
            ("attempt", _) => "attempts".to_owned(),
            // The attempt itself is shown.
            ("entry", 1) => "address that an attempt asked for".to_owned(),
            ("entry", _) => "addresses that attempts asked for".to_owned(),
            ("port", 1) => "record of a port or a TIME_WAIT".to_owned(),
            ("port", _) => "records of ports and TIME_WAITs".to_owned(),
            ("output", 1) => "record that could not be written".to_owned(),
            ("output", _) => "records that could not be written".to_owned(),
            (kind, 1) => format!("{} record", escape(kind)),
            (kind, _) => format!("{} records", escape(kind)),
        };
        writeln!(
            out,
            "{faint}{moment}{faint:#}  {bad}lost{bad:#}   {count} {what}, between {} and {}",
            self.time_of_day(from, moment),
            self.time_of_day(to, moment),
        )
    }

    fn stop(&self, stop: &Stop, moment: &Moment<'_>, out: &mut impl Write) -> io::Result<()> {
        let Theme { faint, .. } = self.theme;
        write!(
            out,
            "{faint}-- {moment} stopped: {} seen",
            counted(stop.seen, "attempt", "attempts")
        )?;
        if stop.filtered > 0 {
            write!(out, ", {} filtered out", stop.filtered)?;
        }
        if stop.lost > 0 {
            write!(out, ", {} lost", stop.lost)?;
        }
        if let Some(missed @ 1..) = stop.missed {
            write!(
                out,
                ", {} skipped by the kernel",
                counted(missed, "run of a hook", "runs of hooks")
            )?;
        }
        let mut intro = "; failed: ";
        for (cause, count) in &stop.failures {
            write!(out, "{intro}{count} {}", cause.as_str())?;
            intro = ", ";
        }
        if !stop.failures.is_empty() {
            write!(out, " (`portwatch explain ID` says more of each)")?;
        }
        intro = "; forgotten to make room: ";
        for (kind, count) in stop.evicted.iter().filter(|(_, count)| **count > 0) {
            write!(out, "{intro}{count} {}", escape(kind))?;
            intro = ", ";
        }
        writeln!(out, " --{faint:#}")
    }
}

/// When a record is from.
struct Moment<'a> {
    raw: &'a str,
    /// `None` for a time that is none: the log has been tampered with.
    local: Option<Zoned>,
    boot_ns: Big,
}

impl std::fmt::Display for Moment<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.local {
            Some(local) => write!(f, "{}", local.strftime("%H:%M:%S%.3f")),
            None => write!(f, "{}", escape(self.raw)),
        }
    }
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests;
