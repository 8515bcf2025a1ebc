//! `cargo xtask lint`: checks of the tree. Each runs, whatever the others find; what they found is summed up at the end.

mod cargo;
mod deny;
mod msrv;
mod rings;
mod words;

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};

use crate::drawing;
use crate::shell::{in_ci, say};

pub(crate) const EXAMPLES: &str = "\
Examples:
  cargo xtask lint               every check
  cargo xtask lint fmt clippy    only these
  cargo xtask lint --list        what each check looks at

A check installs the tools that it lacks. If it cannot, it is skipped; with CI set it fails.";

/// Which checks to run.
#[derive(Debug, Args)]
pub(crate) struct LintArgs {
    /// Show the checks and exit.
    #[arg(long, conflicts_with = "checks")]
    list: bool,
    /// Run these; all without any.
    #[arg(value_name = "CHECK", value_parser = names())]
    checks: Vec<String>,
}

/// What a check that did not fail found.
pub(crate) enum Outcome {
    Passed,
    /// It could not run, for this reason.
    Skipped(String),
}

struct Check {
    name: &'static str,
    about: &'static str,
    run: fn() -> Result<Outcome>,
    /// CI may skip it, too.
    skips_in_ci: bool,
}

impl Check {
    const fn new(name: &'static str, about: &'static str, run: fn() -> Result<Outcome>) -> Self {
        Self {
            name,
            about,
            run,
            skips_in_ci: false,
        }
    }
}

/// Quick ones first.
const CHECKS: &[Check] = &[
    Check::new("fmt", "rustfmt would change no file", cargo::fmt),
    Check::new(
        "words",
        "no text has a word that xtask/words.toml lists",
        words::words,
    ),
    Check::new(
        "rings",
        "each crate depends only on what its ring allows",
        rings::rings,
    ),
    Check::new(
        "drawing",
        "docs/architecture.md draws the crates and modules as they are",
        || drawing::check().map(|()| Outcome::Passed),
    ),
    Check::new("clippy", "clippy has no warning", cargo::clippy),
    Check::new("doc", "rustdoc has no warning", cargo::doc),
    Check::new("msrv", "the stated rust-version compiles it", msrv::msrv),
    Check::new(
        "aarch64",
        "everything but the kernel side compiles for aarch64",
        cargo::aarch64,
    ),
    Check::new(
        "deny",
        "dependencies have a licence and a source that deny.toml allows",
        deny::deny,
    ),
    Check {
        // The database lies outside of the package registries, where CI need not reach.
        skips_in_ci: true,
        ..Check::new(
            "advisories",
            "nothing is known against the dependencies",
            deny::advisories,
        )
    },
];

fn names() -> PossibleValuesParser {
    let values = CHECKS.iter();
    PossibleValuesParser::new(values.map(|check| PossibleValue::new(check.name).help(check.about)))
}

/// Runs the checks.
pub(crate) fn lint(args: &LintArgs) -> Result<ExitCode> {
    if args.list {
        let mut stdout = std::io::stdout().lock();
        for check in CHECKS {
            writeln!(stdout, "{:<10}  {}", check.name, check.about)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let is_chosen = |check: &&Check| args.checks.is_empty() || is_in(&args.checks, check.name);
    let mut summary = Summary::default();
    for check in CHECKS.iter().filter(is_chosen) {
        say(format!("\n--- {}: {}", check.name, check.about));
        let began = Instant::now();
        let outcome = settled(check, (check.run)(), in_ci());
        if let Err(error) = &outcome {
            say(format!("error: {error:#}"));
        }
        summary.add(check.name, &outcome, began.elapsed());
    }
    say(format!("\n{}", summary.lines.join("\n")));
    Ok(if summary.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn is_in(names: &[String], name: &str) -> bool {
    names.iter().any(|given| given == name)
}

/// In CI a skipped check is a failed one.
fn settled(check: &Check, outcome: Result<Outcome>, in_ci: bool) -> Result<Outcome> {
    match outcome {
        Ok(Outcome::Skipped(reason)) if in_ci && !check.skips_in_ci => {
            Err(anyhow!("it must not be skipped in CI: {reason}"))
        }
        outcome => outcome,
    }
}

#[derive(Default)]
struct Summary {
    lines: Vec<String>,
    failed: usize,
}

impl Summary {
    fn add(&mut self, name: &str, outcome: &Result<Outcome>, took: Duration) {
        let (word, reason) = match outcome {
            Ok(Outcome::Passed) => ("passed", ""),
            Ok(Outcome::Skipped(reason)) => ("skipped", reason.as_str()),
            Err(_) => ("FAILED", ""),
        };
        self.failed += usize::from(outcome.is_err());
        let seconds = took.as_secs_f64();
        let line = format!("{word:<8} {name:<10} {seconds:>6.1} s  {reason}");
        self.lines.push(line.trim_end().to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skipped() -> Outcome {
        Outcome::Skipped("no network".to_owned())
    }

    #[test]
    fn ci_skips_only_what_it_may() {
        let strict = Check::new("strict", "", || Ok(skipped()));
        let lenient = Check {
            skips_in_ci: true,
            ..Check::new("lenient", "", || Ok(skipped()))
        };
        assert!(settled(&strict, Ok(skipped()), false).is_ok());
        assert!(settled(&strict, Ok(skipped()), true).is_err());
        assert!(settled(&lenient, Ok(skipped()), true).is_ok());
    }

    #[test]
    fn one_failure_is_counted_among_others() {
        let mut summary = Summary::default();
        summary.add("a", &Ok(Outcome::Passed), Duration::from_millis(1500));
        summary.add("b", &Err(anyhow!("no")), Duration::ZERO);
        summary.add("c", &Ok(skipped()), Duration::ZERO);
        assert_eq!(summary.failed, 1);
        assert_eq!(
            summary.lines,
            [
                "passed   a             1.5 s",
                "FAILED   b             0.0 s",
                "skipped  c             0.0 s  no network",
            ]
        );
    }

    #[test]
    fn names_differ() {
        let mut names: Vec<_> = CHECKS.iter().map(|check| check.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CHECKS.len());
    }
}
