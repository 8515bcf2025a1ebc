//! Each scenario does on this kernel what it says, without portwatch.

use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};
use portwatch_tests::{harness::can, scenario::all, truth::Truth};

fn main() -> ExitCode {
    let trials = all().map(|scenario| Trial::test(scenario.name, || play(scenario.name)));
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

fn play(scenario: &str) -> Result<(), Failed> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scenario"));
    let output = command.args(["run", scenario]).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let truth: Truth = serde_json::from_slice(&output.stdout)?;
    match truth.skipped {
        Some(reason) => {
            can(&reason, reason != "needs root");
        }
        None => assert!(!truth.expect.is_empty()),
    }
    Ok(())
}
