//! The parts of a long run: a part that fails does not keep the next ones from being run.

use anyhow::{Result, bail};

use crate::shell::say;

/// What has been run so far.
#[derive(Debug, Default)]
pub(super) struct Parts {
    passed: Vec<&'static str>,
    /// The parts that failed, each with its reason.
    failed: Vec<String>,
    /// What the machine lacks: tests that need it were skipped.
    missing: Vec<String>,
}

impl Parts {
    /// Runs a part and reports its failure at once.
    pub(super) fn run(&mut self, name: &'static str, part: impl FnOnce() -> Result<()>) {
        match part() {
            Ok(()) => self.passed.push(name),
            Err(error) => {
                let failure = format!("{name}: {error:#}");
                say(format!("error: {failure}"));
                self.failed.push(failure);
            }
        }
    }

    /// Runs a preparation that tests can do without: those that need it are skipped.
    pub(super) fn prepare(&mut self, name: &'static str, part: impl FnOnce() -> Result<()>) {
        if let Err(error) = part() {
            let missing = format!("{name}: {error:#}");
            say(format!("warning: tests will be skipped: {missing}"));
            self.missing.push(missing);
        }
    }

    /// The closing line; an error if a part failed, whose reason may be far up by now.
    pub(super) fn end(self) -> Result<String> {
        let skipped = if self.missing.is_empty() {
            String::new()
        } else {
            format!("\nSkipped tests, for lack of:{}", listed(&self.missing))
        };
        if self.failed.is_empty() {
            return Ok(format!("Passed: {}.{skipped}", self.passed.join(", ")));
        }
        let (failed, all) = (self.failed.len(), self.failed.len() + self.passed.len());
        let reasons = listed(&self.failed);
        bail!("{failed} of {all} parts failed:{reasons}{skipped}")
    }
}

/// A line for each.
fn listed(lines: &[String]) -> String {
    lines.iter().flat_map(|line| ["\n  ", line]).collect()
}

#[cfg(test)]
mod tests {
    use anyhow::ensure;

    use super::*;

    #[test]
    fn a_failure_keeps_nothing_from_being_run() {
        let mut parts = Parts::default();
        let mut ran = Vec::new();
        for (name, is_well) in [("one", false), ("two", true), ("three", false)] {
            parts.run(name, || {
                ran.push(name);
                ensure!(is_well, "it broke");
                Ok(())
            });
        }
        assert_eq!(ran, ["one", "two", "three"]);
        assert_eq!(
            parts.end().unwrap_err().to_string(),
            "2 of 3 parts failed:\n  one: it broke\n  three: it broke"
        );
    }

    #[test]
    fn the_end_names_what_passed_and_what_was_missing() {
        let mut parts = Parts::default();
        parts.prepare("programs", || bail!("no nginx"));
        parts.run("tests", || Ok(()));
        parts.run("kernels", || Ok(()));
        assert_eq!(
            parts.end().unwrap(),
            "Passed: tests, kernels.\nSkipped tests, for lack of:\n  programs: no nginx"
        );
    }
}
