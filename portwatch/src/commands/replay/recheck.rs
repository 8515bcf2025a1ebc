//! Recorded failures judged again.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use serde_json::{Value, json};

use portwatch_core::{
    model::record::Body,
    verdict::{Difference, recheck},
};
use portwatch_log::{cli::FormatArg, json::to_text, reading::Found};

/// Exit status where something would be judged otherwise.
const DIFFERENT: u8 = 1;

/// Compares verdicts, and counts.
#[derive(Debug)]
pub(super) struct Recheck {
    format: FormatArg,
    /// Failures that were judged.
    failures: u64,
    /// Those of them that differ.
    different: u64,
    differences: u64,
}

impl Recheck {
    pub(super) fn new(format: Option<FormatArg>) -> Self {
        Self {
            format: format.unwrap_or(FormatArg::Text),
            failures: 0,
            different: 0,
            differences: 0,
        }
    }

    /// Judges a record, if it is a failure's, and writes a line for each difference.
    pub(super) fn record(&mut self, found: &Found, out: &mut impl Write) -> io::Result<()> {
        let Body::Attempt(attempt) = &found.record.body else {
            return Ok(());
        };
        if attempt.failure.is_none() {
            return Ok(());
        }
        self.failures += 1;
        let differences = recheck(attempt);
        self.different += u64::from(!differences.is_empty());
        self.differences += differences.len() as u64;
        for difference in differences {
            self.write(found, &difference, out)?;
        }
        Ok(())
    }

    fn write(
        &self,
        found: &Found,
        difference: &Difference,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let Difference {
            path,
            recorded,
            now,
        } = difference;
        let (place, seq) = (&found.place, found.record.seq);
        match self.format {
            FormatArg::Text => {
                let shown = |value: &Option<Value>| {
                    value.as_ref().map_or_else(|| "nothing".to_owned(), to_text)
                };
                writeln!(
                    out,
                    "{place}: seq {seq}, {path}: recorded {}, now {}",
                    shown(recorded),
                    shown(now)
                )
            }
            FormatArg::Json => {
                let line = json!({
                    "file": *place.file,
                    "line": place.line,
                    "seq": seq,
                    "path": path,
                    "recorded": recorded,
                    "now": now,
                });
                writeln!(out, "{}", to_text(&line))
            }
        }
    }

    /// The last words, and the exit status.
    pub(super) fn conclude(self) -> ExitCode {
        let Self {
            failures,
            different,
            differences,
            ..
        } = self;
        let judged = if failures == 1 {
            "1 failure judged again".to_owned()
        } else {
            format!("{failures} failures judged again")
        };
        if differences == 0 {
            anstream::eprintln!("portwatch: {judged}: no difference");
            return ExitCode::SUCCESS;
        }
        anstream::eprintln!(
            "portwatch: {judged}: {different} of them differ, in {differences} fields"
        );
        ExitCode::from(DIFFERENT)
    }
}
