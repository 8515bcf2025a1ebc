//! The rule against the kernel: sockets are bound for real, in pairs, and `portwatch`'s rule must say of each call what
//! the kernel does.
//!
//! [`pair`] says what a pair is and [`generate`] makes them. [`stage`] has the existing socket hold a port, with [`fate`]
//! for connections; [`mod@play`] asks for the port and compares. [`kernel`] finds out what this kernel does differently from
//! others, and [`layout`] whether its types bear that out; [`bucket`] knows the shortcuts that the kernel takes and the
//! rule need not. [`known`] has the few cases that are known to be otherwise, row by row.
//!
//! Everything happens in network namespaces of its own, so that the machine's ports do not matter.

mod bucket;
mod fate;
mod generate;
mod kernel;
mod known;
mod layout;
mod lives;
mod namespace;
mod pair;
mod play;
mod socket;
mod stage;
mod step;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use anyhow::{Context, Result, anyhow};
use nix::sched::{CloneFlags, unshare};

pub use self::kernel::Kernel;
use self::{namespace::Namespace, pair::Pair, play::play, socket::Answer, step::Step};

/// Mismatches that are printed at length.
const TOLD: usize = 10;

/// What came out.
#[derive(Clone, Debug)]
pub struct Report {
    /// What the pairs were made from.
    pub seed: u64,
    /// The kernel.
    pub kernel: Kernel,
    /// What it does where it is known to be otherwise than the rule, or than others.
    pub rows: Vec<String>,
    /// Pairs that were played.
    pub pairs: u64,
    /// Calls that were compared.
    pub calls: u64,
    /// Those that the kernel refused.
    pub refused: u64,
    /// Those that the kernel let pass against the rule, as was to be expected, by transport and reason.
    pub lenient: BTreeMap<String, u64>,
    /// How often each clause decided, by transport and name.
    pub clauses: BTreeMap<String, u64>,
    /// Pairs that came out as predicted when they were played again.
    pub transient: u64,
    /// Number of pairs that did not come out as predicted.
    pub mismatched: u64,
    /// The first of these, at length.
    pub mismatches: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "kernel: {}", self.kernel)?;
        for row in &self.rows {
            writeln!(f, "  {row}")?;
        }
        for (clause, count) in &self.clauses {
            writeln!(f, "{count:9} {clause}")?;
        }
        for (reason, count) in &self.lenient {
            writeln!(f, "{count:9} {reason}, against the rule")?;
        }
        for mismatch in &self.mismatches {
            writeln!(f, "{mismatch}")?;
        }
        write!(
            f,
            "seed {}: {} pairs, {} calls: {} refused, {} let pass against the rule; {} pairs as predicted the second \
             time, {} not",
            self.seed,
            self.pairs,
            self.calls,
            self.refused,
            self.lenient.values().sum::<u64>(),
            self.transient,
            self.mismatched
        )?;
        if self.mismatched > 0 {
            let Self { seed, pairs, .. } = self;
            write!(
                f,
                "\nto repeat: scenario rule --pairs {pairs} --seed {seed}"
            )?;
        }
        Ok(())
    }
}

/// Whether this process may make network namespaces.
#[must_use]
pub fn is_possible() -> bool {
    let tried = thread::spawn(|| unshare(CloneFlags::CLONE_NEWNET).is_ok());
    tried.join().unwrap_or(false)
}

/// Plays so many pairs of a seed.
pub fn run(pairs: usize, seed: u64) -> Result<Report> {
    // A thread of its own, so that the caller stays where it is.
    let (kernel, rows) = in_thread(|| {
        let mut namespace = Namespace::enter()?;
        let kernel = Kernel::probe(&mut namespace)?;
        lives::check(&mut namespace, &kernel)?;
        let mut rows = vec![layout::check(&kernel)?];
        rows.extend(known::check(&mut namespace, &kernel)?);
        Ok((kernel, rows))
    })?;
    let queue = Mutex::new(generate::pairs(pairs, seed, kernel.ipv6));
    let report = Mutex::new(Report {
        seed,
        kernel,
        rows,
        pairs: 0,
        calls: 0,
        refused: 0,
        lenient: BTreeMap::new(),
        clauses: BTreeMap::new(),
        transient: 0,
        mismatched: 0,
        mismatches: Vec::new(),
    });
    let workers = thread::available_parallelism()?.get();
    thread::scope(|scope| {
        let work = || work(&queue, &report, &kernel);
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().map_err(|_| anyhow!("a worker panicked"))?)
    })
    .with_context(|| format!("{pairs} pairs of seed {seed}"))?;
    Ok(report.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn in_thread<T: Send>(action: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| scope.spawn(action).join()).map_err(|_| anyhow!("a thread panicked"))?
}

fn work(
    queue: &Mutex<impl Iterator<Item = Pair>>,
    report: &Mutex<Report>,
    kernel: &Kernel,
) -> Result<()> {
    let mut namespace = Namespace::enter()?;
    loop {
        let Some(pair) = lock(queue).next() else {
            return Ok(());
        };
        let play = |namespace: &mut Namespace| {
            play(&pair, namespace, kernel).with_context(|| format!("{pair:?}"))
        };
        let are_as_predicted = |steps: &[Step]| steps.iter().all(Step::is_as_predicted);
        let first = play(&mut namespace);
        let is_repeated = !first.as_deref().is_ok_and(are_as_predicted);
        let steps = if is_repeated {
            // The kernel closes sockets in its own time, and a connection takes steps of its own. So a pair has a second
            // chance, in a namespace where no other one has been.
            namespace = Namespace::enter()?;
            play(&mut namespace)?
        } else {
            first?
        };
        let is_mismatch = !are_as_predicted(&steps);
        lock(report).add(&pair, &steps, is_repeated, is_mismatch);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Report {
    fn add(&mut self, pair: &Pair, steps: &[Step], is_repeated: bool, is_mismatch: bool) {
        self.pairs += 1;
        for step in steps {
            self.calls += 1;
            self.refused += u64::from(step.answer == Answer::Refused);
            if let Some(lenience) = step.lenience() {
                let reason = format!("{:?} {lenience:?}", pair.transport);
                *self.lenient.entry(reason).or_default() += 1;
            }
            let clause = format!("{:?} {:?}", pair.transport, step.ruling.clause());
            *self.clauses.entry(clause).or_default() += 1;
        }
        self.transient += u64::from(is_repeated && !is_mismatch);
        if is_mismatch {
            self.mismatched += 1;
            if self.mismatches.len() < TOLD {
                let wrong = steps.iter().filter(|step| !step.is_as_predicted());
                let wrong: Vec<String> = wrong.map(ToString::to_string).collect();
                self.mismatches
                    .push(format!("{}\n  {pair:?}", wrong.join("\n")));
            }
        }
    }
}
