//! Each scenario does on this kernel what it says, without portwatch; and every cause has a scenario.

use std::{
    collections::BTreeSet,
    process::{Command, ExitCode},
    sync::Mutex,
};

use libtest_mimic::{Arguments, Failed, Trial};
use portwatch_core::model::verdict::Cause;
use portwatch_tests::{expect::truth::Truth, harness::can, lab::scenario::all};

/// The causes that scenarios made happen.
static MADE: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn main() -> ExitCode {
    let trials = all().map(|scenario| Trial::test(scenario.name, || play(scenario.name)));
    let arguments = Arguments::from_args();
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    if !arguments.list && conclusion.num_filtered_out == 0 && !conclusion.has_failed() {
        every_cause_has_a_scenario();
    }
    conclusion.exit_code()
}

fn every_cause_has_a_scenario() {
    let made = MADE.lock().expect("nobody panics with it");
    for cause in Cause::ALL {
        let (id, is_made) = (cause.as_str(), made.contains(cause.as_str()));
        // Where a scenario cannot be played its cause is not made.
        can(&format!("no scenario made {id} happen"), is_made);
    }
}

fn play(scenario: &str) -> Result<(), Failed> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scenario"));
    let output = command.args(["run", scenario]).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let truth: Truth = serde_json::from_slice(&output.stdout)?;
    if let Some(reason) = truth.skipped {
        can(&reason, reason != "needs root");
        return Ok(());
    }
    assert!(!truth.expect.is_empty());
    let failures = truth
        .expect
        .iter()
        .filter_map(|entry| entry.failure.as_ref());
    let causes = failures.flat_map(|failure| failure.cause.iter().chain(&failure.also));
    let mut made = MADE.lock().map_err(|error| error.to_string())?;
    made.extend(causes.cloned());
    Ok(())
}
