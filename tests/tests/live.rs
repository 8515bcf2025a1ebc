//! Every scenario while portwatch watches: each attempt is recorded once and truly, and the right process is blamed.
//!
//! Each is played twice: one portwatch is there from the beginning, for all of them; and (`late`) another one comes when
//! the port is held already, for several of them that have come that far.
//!
//! Those about ports that are watched are played once, with a portwatch of their own that is asked to watch: all at once,
//! beside the others, for some of them take the kernel a minute.
//!
//! Which causes were proven is written to the file that `PORTWATCH_TEST_PROVEN` names, if it does.
//!
//! In an emulated machine (`PORTWATCH_TEST_AGAIN`) what went wrong in company is played once more alone, and what was wrong
//! is shown: there a processor may stand still anywhere for long, and newer kernels hide calls from programs meanwhile. One
//! that is slower than the kernel's timers skips what lives by them, and says so.

use std::{
    env,
    process::ExitCode,
    sync::{Arc, Mutex, OnceLock},
    thread,
};

use anyhow::{Context, Result, anyhow};
use libtest_mimic::{Arguments, Failed, Trial};
use portwatch_tests::{
    expect::{
        Proven, hides_calls,
        play::{BATCH, Outcome, Runner},
    },
    harness::{Trace, can, can_trace, portwatch_binary},
    lab::{TOO_LATE, scenario::all},
};

/// The portwatch that is there from the beginning: started by the first who needs it, or why it does not start.
type Shared = Arc<Mutex<Option<Result<Arc<Trace>, String>>>>;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let shared = Shared::default();
    let mut trials = Vec::new();
    let those = |watched| -> Vec<_> {
        let of_this_kind = all().filter(|scenario| scenario.watched == watched);
        of_this_kind.map(|scenario| scenario.name).collect()
    };
    let names = those(false);
    for &name in &names {
        let trace = Arc::clone(&shared);
        trials.push(Trial::test(name, move || from_the_beginning(name, &trace)));
    }
    // It is asked as one that does nothing: which run must be known before they are put together.
    let runs = |name: &str| !arguments.is_filtered_out(&Trial::test(name, || Ok(())));
    let is_wanted = |name: &&str| runs(&late(name));
    let (wanted, others): (Vec<_>, Vec<_>) = names.into_iter().partition(is_wanted);
    for names in wanted.chunks(BATCH).chain(others.chunks(BATCH)) {
        let batch = Arc::new(Batch::new(names, Runner::play_late));
        for &name in names {
            let batch = Arc::clone(&batch);
            trials.push(Trial::test(late(name), move || batch.judge(name)));
        }
    }
    let (wanted, others): (Vec<_>, Vec<_>) = those(true).into_iter().partition(|name| runs(name));
    let mut beside = None;
    for names in [&wanted, &others] {
        let batch = Arc::new(Batch::new(names, Runner::play_watched));
        for &name in names {
            let batch = Arc::clone(&batch);
            trials.push(Trial::test(name, move || batch.judge(name)));
        }
        beside.get_or_insert(batch);
    }
    // Where they would hide calls from each other, they come last.
    let beside = beside.filter(|_| !hides_calls());
    if let Some(batch) = beside.filter(|batch| !batch.names.is_empty() && !arguments.list) {
        // The trials look at what has come of it. If it cannot be played, they say so.
        thread::spawn(move || runner().map(|runner| runner.map(|it| batch.play(&it).is_ok())));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Some(Ok(trace)) = shared.lock().expect("nobody panics with it").take() {
        let trace = Arc::into_inner(trace).expect("all trials are over");
        let runner = runner().ok().flatten().expect("it has traced");
        let finished = runner.end(trace).expect("a sound log");
        assert!(finished.ended.status.success(), "{:?}", finished.ended);
    }
    if let Some(path) = env::var_os("PORTWATCH_TEST_PROVEN") {
        let mut proven = PROVEN.lock().expect("nobody panics with it");
        let written = proven.get_or_insert_default().write(path.as_ref());
        written.expect("a place for what was proven");
    }
    conclusion.exit_code()
}

/// What the trials have proven.
static PROVEN: Mutex<Option<Proven>> = Mutex::new(None);

fn late(scenario: &str) -> String {
    format!("{scenario}::late")
}

fn from_the_beginning(scenario: &str, shared: &Shared) -> Result<(), Failed> {
    let Some(runner) = runner()? else {
        return Ok(());
    };
    let trace = {
        let mut shared = shared.lock().map_err(|_| "portwatch has not started")?;
        let started = shared.get_or_insert_with(|| {
            let trace = runner.trace();
            trace.map(Arc::new).map_err(|error| format!("{error:#}"))
        });
        Arc::clone(started.as_ref().map_err(String::as_str)?)
    };
    judge(runner.play(&trace, scenario), || {
        let alone = runner.trace()?;
        let outcome = runner.play(&alone, scenario)?;
        runner.end(alone)?;
        Ok(outcome)
    })
}

/// Plays scenarios together. What came of each is in the order of their names.
type Play = fn(&Runner, &[&str]) -> Result<Vec<Result<Outcome>>>;

/// Scenarios that have one portwatch for them. The first of their trials plays all of them.
struct Batch {
    names: Vec<&'static str>,
    play: Play,
    /// In the same order.
    outcomes: OnceLock<Result<Vec<Result<Outcome>>>>,
}

impl Batch {
    fn new(names: &[&'static str], play: Play) -> Self {
        Self {
            names: names.to_vec(),
            play,
            outcomes: OnceLock::new(),
        }
    }

    /// What came of them, whoever played them.
    fn play(&self, runner: &Runner) -> &Result<Vec<Result<Outcome>>> {
        self.outcomes
            .get_or_init(|| (self.play)(runner, &self.names))
    }

    fn judge(&self, scenario: &str) -> Result<(), Failed> {
        let Some(runner) = runner()? else {
            return Ok(());
        };
        let failed = |error: &anyhow::Error| Failed::from(format!("{error:#}"));
        let outcomes = self.play(&runner).as_ref().map_err(failed)?;
        let mut named = self.names.iter().zip(outcomes);
        let (_, outcome) = named
            .find(|(name, _)| **name == scenario)
            .ok_or("it is not in its batch")?;
        let outcome = match outcome {
            Ok(outcome) => Ok(outcome.clone()),
            Err(error) => Err(anyhow!("{error:#}")),
        };
        judge(outcome, || {
            let mut alone = (self.play)(&runner, &[scenario])?;
            alone.pop().context("nothing came of it")?
        })
    }
}

fn runner() -> Result<Option<Runner>, Failed> {
    if !can_trace() {
        return Ok(None);
    }
    Ok(Some(Runner {
        portwatch: portwatch_binary()?,
        scenarios: env!("CARGO_BIN_EXE_scenario").into(),
        arguments: Vec::new(),
    }))
}

/// Fails if something is wrong; in an emulated machine only if it is wrong again `alone`.
#[expect(clippy::print_stderr, reason = "the output of a test")]
fn judge(outcome: Result<Outcome>, alone: impl FnOnce() -> Result<Outcome>) -> Result<(), Failed> {
    let wrong = match verdict(outcome) {
        Ok(None) => return Ok(()),
        Ok(Some(reason)) => reason,
        Err(wrong) => wrong,
    };
    if env::var_os("PORTWATCH_TEST_AGAIN").is_none() {
        return Err(wrong.into());
    }
    eprintln!("played again alone, because: {wrong}");
    if let Some(reason) = verdict(alone())? {
        can(&reason, false);
    }
    Ok(())
}

/// Gives the reason if it could not be played for lack of time.
fn verdict(outcome: Result<Outcome>) -> Result<Option<String>, String> {
    let outcome = outcome.map_err(|error| format!("{error:#}"))?;
    if let Some(reason) = &outcome.skipped {
        if reason == TOO_LATE {
            return Ok(Some(reason.clone()));
        }
        can(reason, reason != "needs root");
    }
    if outcome.problems.is_empty() {
        let mut proven = PROVEN.lock().map_err(|error| error.to_string())?;
        proven.get_or_insert_default().add(&outcome.proven);
        Ok(None)
    } else {
        Err(outcome.problems.join("\n"))
    }
}
