//! The first process of a guest that `cargo xtask vm` boots: readies the machine as an ordinary system's does, and runs
//! commands as root, one after the other.
//!
//! The kernel writes to the first serial port, the commands to the second, and what came of them goes to the third.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions, Permissions, create_dir_all},
    io::{Read, Write},
    os::unix::{
        fs::{OpenOptionsExt, PermissionsExt},
        process::{CommandExt, ExitStatusExt},
    },
    process::{Command, ExitStatus, Stdio, id},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use nix::{
    mount::{MsFlags, mount},
    sys::{
        reboot::{RebootMode, reboot},
        signal::{Signal, kill},
        termios::{SetArg, cfmakeraw, tcdrain, tcgetattr, tcsetattr},
    },
    unistd::{Pid, setsid},
};
use serde::{Deserialize, Serialize};

use crate::lab::agent::raise_loopback;

/// Argument that makes the scenario binary that process.
pub const SUBCOMMAND: &str = "guest";

/// What is to be run: a list of [`Job`].
const JOBS: &str = "/guest/jobs";

const OUTPUT: &str = "/dev/ttyS1";
const STATUS: &str = "/dev/ttyS2";

/// Type and place.
const FILE_SYSTEMS: &[(&str, &str)] = &[
    ("devtmpfs", "/dev"),
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("tracefs", "/sys/kernel/tracing"),
    ("cgroup2", "/sys/fs/cgroup"),
    ("tmpfs", "/dev/shm"),
];

/// Exit code for a command that could not be run, as a shell has it.
const NOT_RUN: u8 = 127;

/// A command.
#[derive(Deserialize)]
struct Job {
    title: String,
    words: Vec<String>,
    environment: BTreeMap<String, String>,
    /// Its standard output goes into its [`Done`], and is not shown.
    answers: bool,
}

/// What came of it: a line of JSON.
#[derive(Serialize)]
struct Done {
    /// Exit code; 128 and the number of a signal that killed it, as a shell has it.
    code: u8,
    seconds: f64,
    answer: String,
}

/// Runs the commands, tells what came of them and ends the machine.
pub fn serve() -> Result<()> {
    ensure!(id() == 1, "only the first process of a machine does this");
    for (kind, place) in FILE_SYSTEMS {
        create_dir_all(place).with_context(|| (*place).to_owned())?;
        mount(
            Some(*kind),
            *place,
            Some(*kind),
            MsFlags::empty(),
            None::<&str>,
        )
        .with_context(|| format!("{kind} on {place}"))?;
    }
    // The kernel's own first mount writes down each access of a link, which ordinary mounts do once a day at most.
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_NOATIME,
        None::<&str>,
    )
    .context("/ without access times")?;
    // For every user. A file system of its own would hide programs that were built below the same directory.
    create_dir_all("/tmp").context("/tmp")?;
    fs::set_permissions("/tmp", Permissions::from_mode(0o1777)).context("/tmp")?;
    raise_loopback().context("lo up")?;
    let mut output = serial(OUTPUT)?;
    let mut status = serial(STATUS)?;
    let jobs: Vec<Job> = serde_json::from_slice(&fs::read(JOBS).context(JOBS)?).context(JOBS)?;
    for job in &jobs {
        if jobs.len() > 1 {
            writeln!(output, "--- {}", job.title)?;
        }
        let began = Instant::now();
        let (code, answer) = match run(job, &output) {
            Ok((ended, answer)) => (code(ended), answer),
            Err(error) => {
                writeln!(output, "error: {error:#}")?;
                (NOT_RUN, String::new())
            }
        };
        // What it left running would be in the next one's way. There may be nothing.
        let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
        tcdrain(&output).context(OUTPUT)?;
        let done = Done {
            code,
            seconds: began.elapsed().as_secs_f64(),
            answer,
        };
        writeln!(status, "{}", serde_json::to_string(&done)?)?;
    }
    tcdrain(&status).context(STATUS)?;
    // The emulator runs with an option to end where a machine would start again: that takes no driver.
    reboot(RebootMode::RB_AUTOBOOT).context("reboot")?;
    Ok(())
}

/// A serial port that passes every byte as it is.
fn serial(path: &str) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_NOCTTY);
    let port = options.open(path).context(path.to_owned())?;
    let mut settings = tcgetattr(&port).context(path.to_owned())?;
    cfmakeraw(&mut settings);
    tcsetattr(&port, SetArg::TCSANOW, &settings).context(path.to_owned())?;
    Ok(port)
}

fn run(job: &Job, output: &File) -> Result<(ExitStatus, String)> {
    let (program, arguments) = job.words.split_first().context("no command")?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(&job.environment)
        .current_dir("/tmp")
        .stdin(Stdio::null())
        .stderr(output.try_clone()?);
    if job.answers {
        command.stdout(Stdio::piped());
    } else {
        command.stdout(output.try_clone()?);
    }
    // SAFETY: setsid() may be called between fork and exec.
    unsafe { command.pre_exec(|| Ok(setsid().map(drop)?)) };
    let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
    let mut answer = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut answer)?;
    }
    let ended = await_end(Pid::from_raw(child.id().cast_signed()))?;
    Ok((ended, answer))
}

/// Waits for a process, and for those that have lost their parents: the first process inherits them.
fn await_end(wanted: Pid) -> Result<ExitStatus> {
    loop {
        let mut status = 0;
        // SAFETY: the status lives until the call returns.
        let ended = unsafe { libc::waitpid(-1, &raw mut status, 0) };
        let ended = Pid::from_raw(nix::errno::Errno::result(ended).context("waitpid")?);
        if ended == wanted {
            return Ok(ExitStatus::from_raw(status));
        }
    }
}

/// Exit code; 128 and the number of a signal that killed it, as a shell has it.
fn code(ended: ExitStatus) -> u8 {
    let killed = || 128 + ended.signal().unwrap_or_default();
    ended.code().unwrap_or_else(killed) as u8
}
