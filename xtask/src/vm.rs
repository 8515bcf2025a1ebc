//! `cargo xtask vm`: portwatch on Debian's kernels: the scenarios in each tier, and the rule; or any command.
//!
//! Each kernel boots in an emulated machine that has nothing but a memory file system with our own programs, linked
//! statically. Emulation needs no privilege and no support of the processor, so it also works where this machine is itself
//! a guest.

mod causes;
mod guest;
mod initramfs;
mod job;
mod page;
mod programs;
mod qemu;
mod table;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::kernels::{KERNELS, Kernel};
use crate::shell::{output, say};
use causes::Column;
use guest::{Ending, Guest};
use job::{Job, Question};
use programs::{BENCH, Programs};
use qemu::Qemu;
use table::Row;

pub(crate) use job::Tier;

/// What to run, and where.
#[derive(Debug)]
pub(crate) struct Request {
    /// Name of a kernel, or `all`.
    pub(crate) kernel: String,
    /// Which tiers; without a command, none means each.
    pub(crate) tiers: Vec<Tier>,
    /// How many processors a guest has that runs the command.
    pub(crate) processors: usize,
    /// More programs for the guests.
    pub(crate) add: Vec<PathBuf>,
    /// How long one guest may run.
    pub(crate) limit: Duration,
    /// Changes no file: what is in the documentation must be right.
    pub(crate) check: bool,
    /// The command; if it is empty, everything that has to hold.
    pub(crate) command: Vec<String>,
}

impl Request {
    /// Everything that has to hold on any kernel.
    pub(crate) fn everything(limit: Duration) -> Self {
        Self {
            kernel: "all".to_owned(),
            tiers: Vec::new(),
            processors: 1,
            add: Vec::new(),
            limit,
            check: true,
            command: Vec::new(),
        }
    }

    /// What each kernel is tried in.
    fn machines(&self, object: Option<&str>) -> Vec<Machine> {
        let machine = |processors, jobs| Machine { processors, jobs };
        let everything = |tiers| {
            vec![
                machine(1, Job::all(tiers, object)),
                machine(2, Job::races(tiers)),
            ]
        };
        let typed = |tier| Job::typed(&self.command, tier);
        let one = |jobs| vec![machine(self.processors, jobs)];
        match (self.command.is_empty(), self.tiers.as_slice()) {
            (true, []) => everything(Tier::ALL),
            (true, tiers) => everything(tiers),
            (false, []) => one(vec![typed(None)]),
            (false, tiers) => one(tiers.iter().map(|&tier| typed(Some(tier))).collect()),
        }
    }

    /// Whether all is run that the table in the documentation is made of.
    fn makes_the_table(&self) -> bool {
        self.command.is_empty() && self.tiers.is_empty() && self.kernel == "all"
    }
}

/// What a kernel is tried in, and with.
struct Machine {
    processors: usize,
    jobs: Vec<Job>,
}

/// A kernel that has been tried.
struct Tried<'a> {
    kernel: &'static Kernel,
    jobs: &'a [Job],
    ending: Ending,
    seconds: f64,
}

/// Boots the kernels. Gives the commands' exit code, of several that are not 0 the first.
pub(crate) fn vm(request: &Request) -> Result<u8> {
    if !cfg!(target_arch = "x86_64") {
        bail!("the guests are x86_64, and so must this machine be, which builds their programs");
    }
    let kernels = selected(&request.kernel)?;
    let qemu = Qemu::ensure()?;
    let programs = Programs::build(
        &request.add,
        request
            .command
            .first()
            .is_some_and(|program| program == BENCH),
    )?;
    let machines = request.machines(programs.object());
    let mut vmlinuz = Vec::new();
    for &kernel in &kernels {
        vmlinuz.push((kernel, kernel.ensure(false)?.join("vmlinuz")));
    }
    let mut tried = Vec::new();
    for Machine { processors, jobs } in &machines {
        let try_one = |(kernel, vmlinuz): &(&'static Kernel, PathBuf)| {
            let guest = Guest {
                name: kernel.name,
                qemu: &qemu,
                vmlinuz,
                programs: &programs,
                processors: *processors,
                jobs,
                limit: request.limit,
                is_quiet: kernels.len() > 1,
            };
            run(kernel, jobs, &guest)
        };
        tried.extend(side_by_side(&vmlinuz, *processors, try_one));
    }
    for one in &tried {
        say(summary(one));
    }
    let code = tried
        .iter()
        .map(|one| code(&one.ending))
        .find(|&code| code != 0);
    if request.makes_the_table() && code.is_none() {
        let table = table::render(&rows(&tried, &programs)?);
        let proven = causes::render(&columns(&tried, &programs, request.check)?)?;
        if request.check {
            table::check(&table)?;
            causes::check(&proven)?;
        } else {
            table::write(&table)?;
            causes::write(&proven)?;
        }
    }
    Ok(code.unwrap_or_default())
}

/// Runs guests of so many processors, several at a time if there are enough for it. The answers are in their order.
fn side_by_side<T: Sync, A: Send>(
    items: &[T],
    processors: usize,
    run: impl Fn(&T) -> A + Sync,
) -> Vec<A> {
    let here = thread::available_parallelism().map_or(1, usize::from);
    // The newest kernel takes longest, and comes last in all lists.
    let queue = Mutex::new(items.iter().enumerate().rev());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let answers = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..(here / processors).max(1) {
            scope.spawn(|| {
                while let Some((index, item)) = next() {
                    let answer = run(item);
                    let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
                    answers.push((index, answer));
                }
            });
        }
    });
    let mut answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Runs a guest; its output comes out whole.
fn run<'a>(kernel: &'static Kernel, jobs: &'a [Job], guest: &Guest<'_>) -> Tried<'a> {
    say(format!("kernel {:7} boots", kernel.name));
    let began = Instant::now();
    let ending = guest.run().unwrap_or_else(|error| Ending {
        failure: Some(format!("{error:#}")),
        ..Ending::default()
    });
    if !ending.output.is_empty() {
        let mut stdout = io::stdout().lock();
        // Who does not read it any more has the summary.
        let _ = writeln!(stdout, "\n=== kernel {} ===", kernel.name);
        let _ = stdout
            .write_all(&ending.output)
            .and_then(|()| stdout.flush());
    }
    if let Some(reason) = &ending.failure {
        say(format!("error: kernel {}: {reason}", kernel.name));
    }
    Tried {
        kernel,
        jobs,
        ending,
        seconds: began.elapsed().as_secs_f64(),
    }
}

/// The first that is not 0; 1 for a guest that did not come to its end.
fn code(ending: &Ending) -> u8 {
    let mut codes = ending.done.iter().map(|done| done.code);
    let failed = u8::from(ending.failure.is_some());
    codes.find(|&code| code != 0).unwrap_or(failed)
}

/// A line for each job, and one for the guest.
fn summary(tried: &Tried<'_>) -> String {
    let name = tried.kernel.name;
    let mut lines = Vec::new();
    for (job, done) in tried.jobs.iter().zip(&tried.ending.done) {
        lines.push(format!(
            "kernel {name:7} {:30} exit code {}, {:.0} s",
            job.title, done.code, done.seconds
        ));
    }
    let ended = if tried.ending.failure.is_some() {
        "did not come to its end"
    } else {
        "ended"
    };
    lines.push(format!(
        "kernel {name:7} {ended} after {:.0} s",
        tried.seconds
    ));
    lines.join("\n")
}

/// The table's: every kernel's, and this machine's as far as it can trace.
fn rows(tried: &[Tried<'_>], programs: &Programs) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (kernel, tier, answer) in answers(tried, Question::Capabilities) {
        let row = Row::read(kernel, tier, answer);
        rows.push(row.with_context(|| format!("kernel {kernel}: no answer"))?);
    }
    let portwatch = programs.path("portwatch");
    let portwatch = portwatch.context("portwatch has not been built")?;
    for &tier in Tier::ALL {
        match output(Command::new(portwatch).args(job::doctor(tier))) {
            Ok(findings) => rows.extend(Row::read(table::HERE, tier, &findings)),
            Err(error) => say(format!("no row for this machine: {error:#}")),
        }
    }
    Ok(rows)
}

/// What the guests answer to a question: the kernel, the tier and the answer.
fn answers<'a>(
    tried: &'a [Tried<'a>],
    question: Question,
) -> impl Iterator<Item = (&'static str, Tier, &'a str)> {
    let of = move |one: &'a Tried<'a>| {
        let told = one.jobs.iter().zip(&one.ending.done);
        let answering = told.filter(move |(job, _)| job.answers == Some(question));
        answering.filter_map(|(job, done)| Some((one.kernel.name, job.tier?, done.answer.as_str())))
    };
    tried.iter().flat_map(of)
}

/// The columns of the table of causes: every kernel's, and this machine's in the tier that it has, if they are to be written
/// and root does it.
fn columns(tried: &[Tried<'_>], programs: &Programs, only_compare: bool) -> Result<Vec<Column>> {
    let mut columns: Vec<Column> = Vec::new();
    for (kernel, tier, answer) in answers(tried, Question::Proven) {
        let column = Column::read(kernel, tier, answer)?;
        match columns.iter_mut().find(|other| other.is_of(&column)) {
            Some(other) => other.add(column),
            None => columns.push(column),
        }
    }
    if !only_compare {
        match here(programs) {
            Ok(column) => columns.push(column),
            Err(error) => say(format!("no causes of this machine: {error:#}")),
        }
    }
    Ok(columns)
}

/// Plays the scenarios on this machine, in the tier that every kernel has.
fn here(programs: &Programs) -> Result<Column> {
    let tier = Tier::Tracepoint;
    let program = |name: &str| programs.path(name).context("it has not been built");
    let file = std::env::temp_dir().join(format!("portwatch-proven-{}", std::process::id()));
    say("Playing the scenarios on this machine ...");
    let mut live = Command::new(program("live")?);
    live.env("PORTWATCH_BIN", program("portwatch")?)
        .env("PORTWATCH_TEST_TIER", tier.name())
        .env(job::PROVEN, &file);
    let played = output(&mut live);
    let told = std::fs::read_to_string(&file).context("nothing was proven");
    // If it stays behind it only takes room.
    let _ = std::fs::remove_file(&file);
    played?;
    Column::read(table::HERE, tier, &told?)
}

fn selected(name: &str) -> Result<Vec<&'static Kernel>> {
    if name == "all" {
        return Ok(KERNELS.iter().collect());
    }
    let found = KERNELS.iter().find(|kernel| kernel.name == name);
    let names: Vec<_> = KERNELS.iter().map(|kernel| kernel.name).collect();
    let found = found.with_context(|| {
        let names = names.join(", ");
        format!("no kernel is called {name}; there are {names}, and all")
    })?;
    Ok(vec![found])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_selected_by_name() {
        assert_eq!(selected("all").unwrap().len(), KERNELS.len());
        assert_eq!(selected("6.1").unwrap(), [&KERNELS[1]]);
        assert_eq!(
            selected("6").unwrap_err().to_string(),
            "no kernel is called 6; there are 5.10, 6.1, 6.12, newest, and all"
        );
    }

    #[test]
    fn a_command_is_run_once_unless_tiers_are_named() {
        let mut request = Request::everything(Duration::ZERO);
        let jobs = |request: &Request| -> Vec<usize> {
            let machines = request.machines(None);
            machines.iter().map(|machine| machine.jobs.len()).collect()
        };
        assert_eq!(jobs(&request), [7, 4]);
        request.tiers = vec![Tier::Fexit];
        assert_eq!(jobs(&request), [4, 2]);
        assert!(!request.makes_the_table());
        request.command = vec!["live".to_owned(), "v6".to_owned()];
        let titles = |request: &Request| -> Vec<String> {
            let jobs = request.machines(None).into_iter();
            let jobs = jobs.flat_map(|machine| machine.jobs);
            jobs.map(|job| job.title).collect()
        };
        assert_eq!(titles(&request), ["live v6, tier fexit"]);
        request.tiers.clear();
        assert_eq!(titles(&request), ["live v6"]);
    }

    #[test]
    fn answers_are_in_the_order_of_the_questions() {
        let items: Vec<u32> = (0..100).collect();
        assert_eq!(side_by_side(&items, 1, |item| item * 2)[99], 198);
        assert!(side_by_side(&items, 2, |item| *item).is_sorted());
    }
}
