//! Plays a scenario while portwatch watches, and compares.

mod player;

use std::{
    net::UdpSocket,
    path::PathBuf,
    process::id,
    sync::{Mutex, PoisonError},
    thread::{self, ScopedJoinHandle},
    time::Duration,
};

use anyhow::{Result, anyhow};
use serde_json::Value;

pub(crate) use self::player::Player;
use super::{Proven, attempts_of, compare, have_come, is_traced, log, proven, truth::Truth};
use crate::{
    harness::{Finished, Trace, patience},
    lab::{
        Stop,
        ports::{Claim, WATCHED},
    },
};

/// How many scenarios at most are played at once. What the first has left in `TIME_WAIT` must outlast, in an emulated
/// machine too, the others' way to their checkpoints and portwatch's start: it has 60 s.
pub const BATCH: usize = 14;

/// How long a `TIME_WAIT` can last, re-armed and late: the longest wait of a scenario's.
const LONGEST_WAIT: Duration = Duration::from_secs(80);

/// Plays scenarios while this portwatch watches.
#[derive(Clone, Debug)]
pub struct Runner {
    /// The portwatch binary.
    pub portwatch: PathBuf,
    /// The scenario binary.
    pub scenarios: PathBuf,
    /// More arguments for `portwatch trace`.
    pub arguments: Vec<String>,
}

/// What came of a scenario.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Why it could not be played here.
    pub skipped: Option<String>,
    /// What portwatch did not tell, or told wrongly.
    pub problems: Vec<String>,
    /// The causes that it proves, if there are no problems.
    pub proven: Proven,
}

impl Outcome {
    fn new(truth: Truth, log: &[Value], first: usize) -> Self {
        match truth.skipped {
            Some(reason) => Self {
                skipped: Some(reason),
                problems: Vec::new(),
                proven: Proven::default(),
            },
            None => Self {
                skipped: None,
                problems: compare(&truth, log, first),
                proven: proven(&truth, log, first),
            },
        }
    }
}

impl Runner {
    /// Starts portwatch.
    pub fn trace(&self) -> Result<Trace> {
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        Trace::start_with_text(&self.portwatch, &arguments)
    }

    /// Ends portwatch, and checks what can be done with its log.
    pub fn end(&self, trace: Trace) -> Result<Finished> {
        let finished = trace.stop()?;
        log::check(&self.portwatch, &finished)?;
        Ok(finished)
    }

    /// Starts a portwatch that is asked to watch ports.
    pub fn watching_trace(&self) -> Result<Trace> {
        let ports = format!("{}-{}", WATCHED.start(), WATCHED.end());
        let mut watching = self.clone();
        watching.arguments.extend(["--port".into(), ports]);
        watching.trace()
    }

    /// Plays scenarios while one portwatch watches their ports: one acts at a time, and while it waits the next one does.
    /// What came of each is in the order of their names.
    ///
    /// The more of them compete for a processor, the more some kernels hide from programs (since 7.2, see `missed`).
    pub fn play_watched(&self, scenarios: &[&str]) -> Result<Vec<Result<Outcome>>> {
        let trace = self.watching_trace()?;
        let stage = Mutex::new(());
        let outcomes = thread::scope(|scope| {
            let play = |name: &&str| {
                let (name, trace, stage) = ((*name).to_owned(), &trace, &stage);
                scope.spawn(move || self.play_in_turn(trace, &name, stage))
            };
            let playing: Vec<_> = scenarios.iter().map(play).collect();
            playing.into_iter().map(joined).collect()
        });
        self.end(trace)?;
        Ok(outcomes)
    }

    /// Plays a scenario, on a stage that it leaves to others while it waits for what takes its time.
    fn play_in_turn(&self, trace: &Trace, scenario: &str, stage: &Mutex<()>) -> Result<Outcome> {
        let enter = || stage.lock().unwrap_or_else(PoisonError::into_inner);
        let mut on_stage = Some(enter());
        let before = trace.look(<[Value]>::len)?;
        let player = Player::start(&self.scenarios, scenario, &[])?;
        let truth = player.finish(|stop| {
            drop(on_stage.take());
            let cause = await_records(trace, before, stop);
            on_stage = Some(enter());
            cause
        })?;
        await_what_has_happened(trace, before)?;
        trace.look(|records| Outcome::new(truth, records, before))
    }

    /// Plays a scenario while this portwatch watches, others perhaps at the same time.
    pub fn play(&self, trace: &Trace, scenario: &str) -> Result<Outcome> {
        let before = trace.look(<[Value]>::len)?;
        let player = Player::start(&self.scenarios, scenario, &[])?;
        let truth = player.finish(|stop| await_records(trace, before, stop))?;
        await_what_has_happened(trace, before)?;
        trace.look(|records| Outcome::new(truth, records, before))
    }

    /// Plays scenarios, and starts one portwatch for them when each has come to its checkpoint, where the port is held
    /// already. What came of each is in the order of their names.
    pub fn play_late(&self, scenarios: &[&str]) -> Result<Vec<Result<Outcome>>> {
        let start = |name: &&str| Player::start(&self.scenarios, name, &["--pause"]);
        // All of them run before the first is waited for.
        let players: Vec<_> = scenarios.iter().map(start).collect();
        let paused: Vec<_> = players
            .into_iter()
            .map(|player| player?.at_checkpoint())
            .collect();
        let trace = self.trace()?;
        // One after the other: the more of them compete for a processor, the more calls some kernels hide from programs
        // (since 7.2, see `missed`).
        let go_on = |player: Result<Player>| player?.finish(|stop| await_records(&trace, 0, stop));
        let truths: Vec<_> = paused.into_iter().map(go_on).collect();
        let log = self.end(trace)?.records;
        let judged = truths
            .into_iter()
            .map(|truth| Ok(Outcome::new(truth?, &log, 0)));
        Ok(judged.collect())
    }
}

fn joined<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    let outcome = thread.join();
    outcome.unwrap_or_else(|_| Err(anyhow!("its thread panicked")))
}

/// Waits for the records that a scenario stops for; gives the recorded cause of a failure. If none comes, the
/// comparison will say so, with all that is known then.
fn await_records(trace: &Trace, before: usize, stop: &Stop) -> Option<String> {
    match stop {
        Stop::Checkpoint => None,
        Stop::Failure {
            pid,
            attempt,
            kernel,
        } => {
            let told = trace.wait_until("record of the failure", |records| {
                let hidden = *kernel && !is_traced(records, "stages");
                let told = attempts_of(&records[before..], *pid);
                let record = told.get(attempt - 1);
                (hidden || record.is_some()).then(|| cause_of(record?))
            });
            told.ok().flatten()
        }
        Stop::Changes(changes) => {
            let wait = patience() + LONGEST_WAIT;
            let _ = trace.wait_long("records of the changes", wait, |records| {
                have_come(changes, records, before).then_some(())
            });
            None
        }
    }
}

fn cause_of(record: &Value) -> Option<String> {
    record["verdict"]["cause"].as_str().map(str::to_owned)
}

/// Records come in the order of events: behind that of a bind of our own, none of what was before it is missing.
pub(crate) fn await_what_has_happened(trace: &Trace, before: usize) -> Result<()> {
    // Watched, so that no filter leaves it out.
    let claim = Claim::watched()?;
    let port = claim.port;
    let _own = UdpSocket::bind(("127.0.0.1", port))?;
    trace.wait_until("record of our own bind", |records| {
        let mut ours = attempts_of(&records[before..], id()).into_iter();
        ours.any(|record| record["bound_port"] == port)
            .then_some(())
    })
}
