//! Very many plays of the scenarios, in random order and several at once, in several network namespaces, while one
//! portwatch watches; and each attempt of each of them is compared with its truth.
//!
//! The seed decides which scenarios are played, in which order and in which kind of namespace. What overlaps with what is
//! up to the machine.

mod arena;
mod log;
mod plan;

use std::{
    collections::BTreeSet,
    fmt,
    path::Path,
    slice,
    sync::{Mutex, PoisonError},
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;

pub(crate) use self::arena::Arena;
use self::{log::Log, plan::Group};
use crate::{
    expect::{
        compare, hides_calls, is_traced,
        play::{Player, Runner},
        truth::Truth,
    },
    harness::patience,
    lab::{Stop, scenario::Scenario},
};

/// Namespaces in use at once.
const ARENAS: usize = 4;
/// Plays at once in each.
const PLAYERS: usize = 3;
/// How often one play is tried: its script can conflict with what others left in the namespace.
const TRIES: usize = 3;

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// What it was made from.
    pub seed: u64,
    /// Plays that were compared.
    pub plays: usize,
    /// Plays that came to nothing, as their scripts met what they say is not there; each was tried again.
    pub spoiled: usize,
    /// Scenarios that cannot be played here.
    pub skipped: BTreeSet<&'static str>,
    /// Attempts of the plays.
    pub attempts: usize,
    /// Those that failed because the address was in use.
    pub in_use: usize,
    /// How long it took.
    pub took: Duration,
    /// What portwatch did not tell, told wrongly, or made up.
    pub problems: Vec<String>,
    /// The record `stop`.
    pub stop: Value,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            plays,
            spoiled,
            attempts,
            in_use,
            skipped,
            took,
            problems,
            ..
        } = self;
        write!(
            f,
            "seed {seed}: {plays} plays ({spoiled} spoiled and played again) of {attempts} attempts, {in_use} of them \
             EADDRINUSE, in {:.0} s: {} problems",
            took.as_secs_f64(),
            problems.len()
        )?;
        if !skipped.is_empty() {
            write!(f, "; not played here: {skipped:?}")?;
        }
        Ok(())
    }
}

/// Plays so many scenarios while one portwatch watches.
pub fn run(runner: &Runner, plays: usize, seed: u64) -> Result<Report> {
    let began = Instant::now();
    let groups = plan::groups(plays, seed);
    let log = Log::start(runner)?;
    let stage = Stage {
        runner,
        log: &log,
        tally: Mutex::default(),
    };
    // Where calls are hidden from programs while several processes compete for a processor, nobody competes.
    let (arenas, players) = if hides_calls() {
        (1, 1)
    } else {
        (ARENAS, PLAYERS)
    };
    let queue = Mutex::new(groups.iter());
    thread::scope(|scope| {
        let work = || {
            let arena = Arena::new()?;
            while let Some(group) = next(&queue) {
                let namespace = arena.enter(group.of_its_own)?;
                stage.play_group(group, players, namespace)?;
            }
            Ok(())
        };
        let workers: Vec<_> = (0..arenas).map(|_| scope.spawn(work)).collect();
        let panicked = |_| Err(anyhow!("a worker panicked"));
        let mut done = workers.into_iter().map(ScopedJoinHandle::join);
        done.try_for_each(|done| done.unwrap_or_else(panicked))
    })?;
    let tally = stage.tally.into_inner();
    let tally = tally.unwrap_or_else(PoisonError::into_inner);
    let stop = log.finish()?;
    Ok(Report {
        seed,
        plays: tally.plays,
        spoiled: tally.spoiled,
        skipped: tally.skipped,
        attempts: tally.attempts,
        in_use: tally.in_use,
        took: began.elapsed(),
        problems: tally.problems,
        stop,
    })
}

fn next<'a>(queue: &Mutex<slice::Iter<'a, Group>>) -> Option<&'a Group> {
    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    queue.next()
}

#[derive(Default)]
struct Tally {
    plays: usize,
    spoiled: usize,
    skipped: BTreeSet<&'static str>,
    attempts: usize,
    in_use: usize,
    problems: Vec<String>,
}

/// Where plays come to their end.
struct Stage<'a> {
    runner: &'a Runner,
    log: &'a Log,
    tally: Mutex<Tally>,
}

impl Stage<'_> {
    /// Plays a group's scenarios in the network namespace of this thread and of those that it starts. If `namespace` is
    /// given nobody else is in it, and portwatch must report no `EADDRINUSE` there that did not happen.
    fn play_group(&self, group: &Group, players: usize, namespace: Option<u64>) -> Result<()> {
        let began = self.log.mark()?;
        let queue = Mutex::new(group.plays.iter());
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        thread::scope(|scope| {
            for _ in 0..players {
                scope.spawn(|| {
                    while let Some(scenario) = next() {
                        self.play(scenario);
                    }
                });
            }
        });
        if let Some(namespace) = namespace {
            self.log.mark()?;
            let made_up = self.log.in_use_in(namespace, began);
            let problems = made_up
                .iter()
                .map(|record| format!("nobody attempted this: {record}"));
            let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
            tally.problems.extend(problems);
        }
        Ok(())
    }

    fn play(&self, scenario: &'static Scenario) {
        for left in (0..TRIES).rev() {
            let played = play(&self.runner.scenarios, self.log, scenario.name);
            let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
            match played {
                Ok((
                    Truth {
                        skipped: None,
                        expect,
                        ..
                    },
                    problems,
                )) => {
                    let in_use = expect.iter().filter(|entry| entry.result == "EADDRINUSE");
                    tally.plays += 1;
                    tally.attempts += expect.len();
                    tally.in_use += in_use.count();
                    let named = |problem| format!("{}: {problem}", scenario.name);
                    tally.problems.extend(problems.into_iter().map(named));
                    return;
                }
                Ok(_) => {
                    tally.skipped.insert(scenario.name);
                    return;
                }
                Err(error) if left == 0 => {
                    let problem = format!("{}: cannot be played: {error:#}", scenario.name);
                    tally.problems.push(problem);
                }
                Err(_) => tally.spoiled += 1,
            }
        }
    }
}

/// Plays a scenario. Gives the truth, and what is wrong with its records; takes these out of the log.
fn play(binary: &Path, log: &Log, scenario: &str) -> Result<(Truth, Vec<String>)> {
    let player = Player::start(binary, scenario, &[])?;
    let director = player.pid();
    let truth = player.finish(|stop| {
        if let Stop::Failure {
            pid,
            attempt,
            kernel,
        } = stop
        {
            let hidden = *kernel && !is_traced(slice::from_ref(&log.start), "stages");
            // If it does not come the comparison will say so.
            let _ = log.wait_until(patience(), |told| hidden || told.of(*pid) >= *attempt);
        }
        None
    });
    log.mark()?;
    let mut truth = match truth {
        Ok(truth) => truth,
        Err(error) => {
            // Nobody knows which records to expect.
            log.forget_family(director);
            return Err(error);
        }
    };
    // Episodes end later, or are forgotten among so many.
    truth.episodes.clear();
    // It has tried whether ports are free.
    let mut records = log.take(director);
    let pids: BTreeSet<u32> = truth.expect.iter().map(|entry| entry.binder.pid).collect();
    for pid in pids {
        records.extend(log.take(pid));
    }
    records.sort_by_key(|record| record["seq"].as_u64());
    let mut whole = vec![log.start.clone()];
    whole.append(&mut records);
    let mut problems = compare(&truth, &whole, 1);
    if !problems.is_empty() {
        problems.push(format!("the truth: {}", serde_json::to_string(&truth)?));
        problems.extend(whole[1..].iter().map(|record| format!("told: {record}")));
    }
    Ok((truth, problems))
}

/// Fails if anything was lost, or anything is wrong.
pub fn judge(report: &Report) -> Result<()> {
    let lost = report.stop["lost"].as_u64();
    ensure!(lost == Some(0), "{report}; lost: {}", report.stop);
    let most = report.plays / 50 + 2;
    ensure!(report.spoiled <= most, "{report}; that many were spoiled");
    let first: Vec<&str> = report
        .problems
        .iter()
        .take(20)
        .map(String::as_str)
        .collect();
    ensure!(
        first.is_empty(),
        "{report}\n{}\n{}",
        first.join("\n"),
        report.stop
    );
    (report.plays > 0)
        .then_some(())
        .context("nothing was played")
}
