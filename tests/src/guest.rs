//! The first process of a guest that `cargo xtask vm` boots: readies the machine as an ordinary system's does, and runs one
//! command as root.
//!
//! The kernel writes to the first serial port, the command to the second, and its exit code goes to the third.

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions, Permissions, create_dir_all},
    io::Write,
    os::unix::{
        ffi::OsStrExt,
        fs::{OpenOptionsExt, PermissionsExt},
        process::{CommandExt, ExitStatusExt},
    },
    process::{Command, ExitStatus, Stdio, id},
};

use anyhow::{Context, Result, ensure};
use nix::{
    mount::{MsFlags, mount},
    sys::{
        reboot::{RebootMode, reboot},
        termios::{SetArg, cfmakeraw, tcdrain, tcgetattr, tcsetattr},
    },
    unistd::{Pid, setsid},
};

use crate::agent::raise_loopback;

/// Argument that makes the scenario binary that process.
pub const SUBCOMMAND: &str = "guest";

/// The command's words, separated by NUL bytes.
const COMMAND: &str = "/guest/command";
/// Its environment, likewise.
const ENVIRONMENT: &str = "/guest/environment";

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

/// Runs the command, tells its exit code and ends the machine.
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
    // For every user. A file system of its own would hide programs that were built below the same directory.
    create_dir_all("/tmp").context("/tmp")?;
    fs::set_permissions("/tmp", Permissions::from_mode(0o1777)).context("/tmp")?;
    raise_loopback().context("lo up")?;
    let mut output = serial(OUTPUT)?;
    let mut status = serial(STATUS)?;
    let code = match run(&output) {
        Ok(ended) => code(ended),
        Err(error) => {
            writeln!(output, "error: {error:#}")?;
            NOT_RUN
        }
    };
    tcdrain(&output).context(OUTPUT)?;
    writeln!(status, "{code}")?;
    tcdrain(&status).context(STATUS)?;
    // The emulator is told to end where a machine would start again: that takes no driver.
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

fn run(output: &File) -> Result<ExitStatus> {
    let command = fs::read(COMMAND).context(COMMAND)?;
    let mut words = command.split(|byte| *byte == 0).map(OsStr::from_bytes);
    let mut command = Command::new(words.next().context("no command")?);
    let environment = fs::read_to_string(ENVIRONMENT).context(ENVIRONMENT)?;
    let variables: Vec<_> = environment
        .split('\0')
        .filter_map(|variable| variable.split_once('='))
        .collect();
    command
        .args(words)
        .env_clear()
        .envs(variables)
        .current_dir("/tmp")
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output.try_clone()?);
    // SAFETY: setsid() may be called between fork and exec.
    unsafe { command.pre_exec(|| Ok(setsid().map(drop)?)) };
    let child = command.spawn().with_context(|| format!("{command:?}"))?;
    await_end(Pid::from_raw(child.id().cast_signed()))
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
