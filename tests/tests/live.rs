//! Every scenario while portwatch watches: each attempt is told once and truly, and the right one is blamed.
//!
//! Each is played twice: one portwatch is there from the beginning, for all of them; and (`late`) another one comes when
//! the port is held already.

use std::{
    process::ExitCode,
    sync::{Arc, Mutex},
};

use libtest_mimic::{Arguments, Failed, Trial};
use portwatch_tests::{
    harness::{Trace, can, can_trace, portwatch_binary},
    scenario::all,
    verify::{Outcome, Verifier},
};

/// The portwatch that is there from the beginning: started by the first who needs it.
type Shared = Arc<Mutex<Option<Arc<Trace>>>>;

fn main() -> ExitCode {
    let shared = Shared::default();
    let trials = all().flat_map(|scenario| {
        let (name, trace) = (scenario.name, Arc::clone(&shared));
        let late = format!("{name}::late");
        [
            Trial::test(name, move || from_the_beginning(name, &trace)),
            Trial::test(late, || {
                judge(verifier()?.map(|verifier| verifier.verify_late(name)))
            }),
        ]
    });
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials.collect());
    if let Some(trace) = shared.lock().expect("nobody panics with it").take() {
        let trace = Arc::into_inner(trace).expect("all trials are over");
        let finished = trace.stop().expect("a sound log");
        assert!(finished.ended.status.success(), "{:?}", finished.ended);
    }
    conclusion.exit_code()
}

fn from_the_beginning(scenario: &str, shared: &Shared) -> Result<(), Failed> {
    let Some(verifier) = verifier()? else {
        return Ok(());
    };
    let trace = {
        let mut shared = shared.lock().map_err(|_| "portwatch has not started")?;
        match &*shared {
            Some(trace) => Arc::clone(trace),
            None => Arc::clone(shared.insert(Arc::new(verifier.trace()?))),
        }
    };
    judge(Some(verifier.verify(&trace, scenario)))
}

fn verifier() -> Result<Option<Verifier>, Failed> {
    if !can_trace() {
        return Ok(None);
    }
    Ok(Some(Verifier {
        portwatch: portwatch_binary()?,
        scenarios: env!("CARGO_BIN_EXE_scenario").into(),
        arguments: Vec::new(),
    }))
}

fn judge(outcome: Option<anyhow::Result<Outcome>>) -> Result<(), Failed> {
    let Some(outcome) = outcome.transpose()? else {
        return Ok(());
    };
    if let Some(reason) = outcome.skipped {
        can(&reason, reason != "needs root");
    }
    if outcome.problems.is_empty() {
        Ok(())
    } else {
        Err(outcome.problems.join("\n").into())
    }
}
