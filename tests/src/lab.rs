//! The vocabulary of the scenarios: processes, sockets, attempts and what portwatch must report of them.
//!
//! - [`scenario`]: the scripts, one file a subject.
//! - [`Lab`], [`Process`], [`Sock`]: what a script acts with.
//! - [`Blame`], [`Changed`]: what portwatch must report.
//! - [`agent`], [`protocol`]: the obedient processes, and how a script commands them.
//! - [`ports`], [`Cgroup`], [`Name`]: ports, control groups and names of namespaces that nobody else uses.

pub mod agent;
mod blame;
mod cgroup;
mod change;
mod namespace;
pub mod ports;
mod process;
pub mod protocol;
pub mod scenario;
mod uring;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    fmt, fs,
    io::{BufRead, Write, stdin, stdout},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use nix::{errno::Errno, unistd::getuid};
use portwatch::{btf::Btf, machine::clock};
use portwatch_core::model::process::TICK_NS;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use self::ports::Claim;
pub use self::{
    blame::Blame,
    cgroup::{Cgroup, Rule},
    change::Changed,
    namespace::Name,
    process::{Process, Sock},
};
use crate::{
    expect::truth::{Binder, Change, Episode, Expected, Failure, Truth},
    harness::patience,
};

/// How a scenario keeps in step with whoever watches it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Stops at the checkpoint, where the port is held and has not been asked for.
    pub at_checkpoint: bool,
    /// Stops after each failure, so that every process is still there when portwatch investigates.
    pub at_failures: bool,
}

/// Line that a scenario prints when it stops. It goes on at the next line of its standard input: an empty one, or the
/// recorded cause of a failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// The port is held.
    Checkpoint,
    /// This process has failed, in this attempt of its after the checkpoint (from 1).
    Failure {
        /// Process id.
        pid: u32,
        /// Number of the attempt.
        attempt: usize,
        /// Only a function of the kernel shows it.
        kernel: bool,
    },
    /// All this becomes of watched ports before it goes on, and some of it takes the kernel a minute.
    Changes(Vec<Change>),
}

/// Why a scenario is not played whose timers have run out.
pub const TOO_LATE: &str = "portwatch took so long to start that the kernel's timers have run out";
/// After this they have not yet, and the script has time to go on.
const IN_TIME: Duration = Duration::from_secs(45);

/// Where a scenario is played.
pub struct Lab {
    ledger: RefCell<Vec<Expected>>,
    changes: RefCell<Vec<Change>>,
    episodes: RefCell<Vec<Episode>>,
    claims: RefCell<Vec<Claim>>,
    /// Names of network namespaces, by inode.
    names: RefCell<HashMap<u64, String>>,
    programs: TempDir,
    pace: Pace,
    passed_checkpoint: Cell<bool>,
}

/// The scenario cannot be played here.
#[derive(Debug)]
pub struct Skip(pub String);

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Skip {}

/// `127.0.0.1` and a port.
#[must_use]
pub fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// `0.0.0.0` and a port.
#[must_use]
pub fn any(port: u16) -> SocketAddr {
    (Ipv4Addr::UNSPECIFIED, port).into()
}

/// `[::1]` and a port.
#[must_use]
pub fn loopback6(port: u16) -> SocketAddr {
    (Ipv6Addr::LOCALHOST, port).into()
}

/// `[::]` and a port.
#[must_use]
pub fn any6(port: u16) -> SocketAddr {
    (Ipv6Addr::UNSPECIFIED, port).into()
}

impl Lab {
    /// Plays a scenario.
    pub fn play(scenario: &str, pace: Pace, script: fn(&Self) -> Result<()>) -> Result<Truth> {
        let lab = Self {
            ledger: RefCell::default(),
            changes: RefCell::default(),
            episodes: RefCell::default(),
            claims: RefCell::default(),
            names: RefCell::default(),
            programs: directory_for_programs()?,
            pace,
            passed_checkpoint: Cell::new(false),
        };
        let skipped = match script(&lab) {
            Ok(()) => None,
            Err(error) => Some(error.downcast::<Skip>()?.0),
        };
        ensure!(
            skipped.is_some() || lab.passed_checkpoint.get(),
            "the script has no checkpoint"
        );
        Ok(Truth {
            scenario: scenario.into(),
            skipped,
            expect: lab.ledger.into_inner(),
            changes: lab.changes.into_inner(),
            episodes: lab.episodes.into_inner(),
        })
    }

    /// A port that nobody else uses, for as long as the lab stands.
    pub fn port(&self) -> Result<u16> {
        Ok(self.claim(Claim::new()?))
    }

    /// The same, one of those that portwatch is asked to watch: it records what becomes of the port.
    pub fn watched_port(&self) -> Result<u16> {
        Ok(self.claim(Claim::watched()?))
    }

    fn claim(&self, claim: Claim) -> u16 {
        let port = claim.port;
        self.claims.borrow_mut().push(claim);
        port
    }

    /// A directory that goes away with the lab.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.programs.path()
    }

    /// Starts a process that runs `program`: the scenario binary under that name, so that processes of different names
    /// are of different programs.
    pub fn process(&self, program: &str) -> Result<Process<'_>> {
        Process::start(self, program)
    }

    /// The same, with the pid of a process that has ended. It starts in a later tick than that one: processes of one pid
    /// are told apart by it, as `/proc/PID/stat` knows no finer.
    pub fn process_with_pid(&self, program: &str, pid: u32) -> Result<Process<'_>> {
        let tick = start_tick()?;
        while start_tick()? == tick {
            thread::yield_now();
        }
        Process::start_with_pid(self, program, pid)
    }

    /// Starts a process that has another program's name and arguments, and obeys the script all the same.
    pub fn stand_in(&self, program: &str, args: &[&str]) -> Result<Process<'_>> {
        Process::stand_in(self, program, args)
    }

    /// Starts a process that binds and ends at once, and waits for its end.
    pub fn bind_once(&self, program: &str, to: SocketAddr) -> Result<Attempt<'_>> {
        let exe = self.program(program)?;
        let mut child = Command::new(&exe)
            .args([agent::ONCE, &to.to_string()])
            .spawn()?;
        let pid = child.id();
        let errno = child.wait()?.code().context("killed")?;
        let namespace = fs::metadata("/proc/self/ns/net")?.ino();
        Ok(self.enter(Expected {
            op: "bind".into(),
            result: process::result_name(errno),
            errno,
            proto: "tcp".into(),
            addr: ip_text(to.ip()),
            port: Some(to.port()),
            bound_port: (errno == 0).then_some(to.port()),
            options: Vec::new(),
            netns: namespace,
            netns_name: None,
            inode: None,
            fd: None,
            io_uring: false,
            kernel: false,
            binder: Binder {
                pid,
                tid: Some(pid),
                uid: getuid().as_raw(),
                comm: program.into(),
                cmdline: Some(vec![
                    exe.display().to_string(),
                    agent::ONCE.into(),
                    to.to_string(),
                ]),
                exe,
            },
            before_tracing: self.is_before_tracing(),
            failure: None,
        }))
    }

    /// The port is held now, and will be asked for next: portwatch may as well start here.
    pub fn checkpoint(&self) -> Result<()> {
        self.passed_checkpoint.set(true);
        if self.pace.at_checkpoint {
            stop(&Stop::Checkpoint)?;
        }
        Ok(())
    }

    /// The same, where what holds the port is a timer of the kernel's that lasts for a minute (`TCP_TIMEWAIT_LEN`): on a
    /// machine on which portwatch takes as long to start, as an emulated one may, nothing is left to tell.
    pub fn checkpoint_in_time(&self) -> Result<()> {
        let began = Instant::now();
        self.checkpoint()?;
        if began.elapsed() < IN_TIME {
            Ok(())
        } else {
            self.skip(TOO_LATE)
        }
    }

    /// Waits until portwatch has recorded every change of watched ports, if it is running.
    pub fn await_changes(&self) -> Result<()> {
        if self.pace.at_failures {
            stop(&Stop::Changes(self.changes.borrow().clone()))?;
        }
        Ok(())
    }

    /// portwatch must report this episode.
    pub fn episode(&self, episode: Episode) {
        self.episodes.borrow_mut().push(episode);
    }

    /// Whether portwatch has been there from now on only, if this is before the checkpoint.
    fn is_before_tracing(&self) -> bool {
        self.pace.at_checkpoint && !self.passed_checkpoint.get()
    }

    /// Ends the scenario: it cannot be played here.
    pub fn skip<T>(&self, reason: impl Into<String>) -> Result<T> {
        Err(Skip(reason.into()).into())
    }

    /// Waits until a port is free: `io_uring`, and a thread that wakes up, let go of it a moment later. To bind until
    /// it works would cause thousands of failures, each with a verdict: a ring takes long to end.
    pub fn until_free(&self, at: SocketAddr) -> Result<()> {
        ports::await_tcp_state(at.port(), 0, None)?;
        let deadline = Instant::now() + patience();
        while let Err(error) = TcpListener::bind(at) {
            ensure!(Instant::now() < deadline, "{at}: {error}");
            thread::yield_now();
        }
        Ok(())
    }

    /// Whether this kernel tells a connection from a client that has bound itself (6.0).
    #[must_use]
    pub fn tells_connections(&self) -> bool {
        let bytes = fs::read("/sys/kernel/btf/vmlinux").unwrap_or_default();
        Btf::parse(&bytes).is_ok_and(|btf| matches!(btf.member("net", "unx.table"), Ok(Some(_))))
    }

    fn program(&self, name: &str) -> Result<PathBuf> {
        let path = self.programs.path().join(name);
        if !path.exists() {
            let own = std::env::current_exe()?;
            fs::hard_link(&own, &path)
                .or_else(|_| fs::copy(&own, &path).map(drop))
                .with_context(|| path.display().to_string())?;
        }
        Ok(path)
    }

    fn enter(&self, expected: Expected) -> Attempt<'_> {
        let mut ledger = self.ledger.borrow_mut();
        ledger.push(expected);
        Attempt {
            lab: self,
            index: ledger.len() - 1,
        }
    }
}

/// Beside the scenario binary, where hard links are possible and programs may run.
fn directory_for_programs() -> Result<TempDir> {
    let own = std::env::current_exe()?;
    let beside = own.parent().map(|directory| {
        tempfile::Builder::new()
            .prefix("portwatch-lab-")
            .tempdir_in(directory)
    });
    match beside {
        Some(Ok(directory)) => Ok(directory),
        _ => tempfile::tempdir().context("temporary directory"),
    }
}

/// What came of an attempt that could come to either.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Raced {
    /// It succeeded.
    Bound,
    /// It failed; with the recorded cause, if portwatch is running.
    Refused(Option<String>),
}

/// A bind or listen that has ended. The script says what must have come of it.
#[must_use]
pub struct Attempt<'lab> {
    lab: &'lab Lab,
    index: usize,
}

impl Attempt<'_> {
    /// It succeeded.
    pub fn ok(self) -> Result<()> {
        self.check("ok")
    }

    /// It succeeded; gives the port.
    pub fn ok_port(self) -> Result<u16> {
        let (lab, index) = (self.lab, self.index);
        self.check("ok")?;
        lab.ledger.borrow()[index].bound_port.context("no port")
    }

    /// It failed with `EADDRINUSE`, and portwatch must report this.
    pub fn in_use(self, blame: &Blame) -> Result<()> {
        self.fails(Errno::EADDRINUSE, blame)
    }

    /// It succeeded, or failed with `EADDRINUSE` and portwatch must report this.
    pub fn raced(self, blame: &Blame) -> Result<Raced> {
        if self.lab.ledger.borrow()[self.index].errno == 0 {
            return Ok(Raced::Bound);
        }
        self.failed(Errno::EADDRINUSE, blame).map(Raced::Refused)
    }

    /// It failed with this errno, and portwatch must report this.
    pub fn fails(self, errno: Errno, blame: &Blame) -> Result<()> {
        self.failed(errno, blame).map(drop)
    }

    /// The same; gives the recorded cause, if portwatch is running.
    fn failed(self, errno: Errno, blame: &Blame) -> Result<Option<String>> {
        let (lab, index) = (self.lab, self.index);
        lab.ledger.borrow_mut()[index].failure = Some(Failure::from(blame));
        self.check(&format!("{errno:?}"))?;
        if !lab.pace.at_failures {
            return Ok(None);
        }
        let ledger = lab.ledger.borrow();
        let pid = ledger[index].binder.pid;
        let same = |entry: &&Expected| entry.binder.pid == pid && !entry.before_tracing;
        let attempt = ledger[..=index].iter().filter(same).count();
        let kernel = ledger[index].kernel;
        let told = stop(&Stop::Failure {
            pid,
            attempt,
            kernel,
        })?;
        Ok(Some(told))
    }

    fn check(self, result: &str) -> Result<()> {
        let ledger = self.lab.ledger.borrow();
        let entry = &ledger[self.index];
        ensure!(
            entry.result == result,
            "the kernel did not do as the scenario says: {} of {} port {:?} with {:?} gave {}, not {result}",
            entry.op,
            entry.addr,
            entry.port,
            entry.options,
            entry.result,
        );
        Ok(())
    }
}

/// Gives the answer: the recorded cause of a failure.
fn stop(at: &Stop) -> Result<String> {
    let mut stdout = stdout().lock();
    writeln!(stdout, "{}", serde_json::to_string(at)?)?;
    stdout.flush()?;
    let mut answer = String::new();
    stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim_end().to_owned())
}

/// Of a process that starts now.
fn start_tick() -> Result<u64> {
    Ok(clock::boot_now()? / TICK_NS)
}

fn ip_text(addr: IpAddr) -> String {
    addr.to_string()
}
