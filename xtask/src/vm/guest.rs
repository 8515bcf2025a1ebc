//! One guest, from the power switch to its end.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;
use std::{env, fs, process};

use anyhow::{Context, Result};

use super::initramfs::Initramfs;
use super::programs::Programs;
use super::qemu::Qemu;

/// Lines of the kernel that are shown when a guest fails.
const LAST_LINES: usize = 60;

/// What the scenarios run if nothing else is asked for.
const DEFAULT_COMMAND: &[&str] = &["live"];

/// For the command. What it waits for takes longer in an emulated machine.
const ENVIRONMENT: &[&str] = &[
    "PATH=/bin",
    "HOME=/",
    "PORTWATCH_BIN=/bin/portwatch",
    "PORTWATCH_TEST_TIMEOUT=60",
];

/// What the guest's first process reads: `portwatch_tests::guest`.
const COMMAND_FILE: &str = "/guest/command";
const ENVIRONMENT_FILE: &str = "/guest/environment";

/// A machine to be.
pub(super) struct Guest<'a> {
    pub(super) qemu: &'a Qemu,
    pub(super) vmlinuz: &'a Path,
    pub(super) programs: &'a Programs,
    /// If it is empty, the scenarios.
    pub(super) command: &'a [String],
    /// Longest time that it may run.
    pub(super) limit: Duration,
}

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The command ended with this code.
    Exited(u8),
    /// It did not, and this is what is known.
    Failed(String),
}

impl Guest<'_> {
    /// Boots it and runs the command, whose output comes out of our standard output as it is written.
    pub(super) fn run(&self) -> Result<Ending> {
        let scratch = Scratch::new()?;
        let file = |name: &str| scratch.0.join(name);
        fs::write(file("initramfs"), self.initramfs()?)?;
        let serial = |name: &str| format!("file:{}", file(name).display());
        let mut qemu = self.qemu.command();
        qemu.args(["-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", "2G"])
            .args(["-nodefaults", "-no-user-config", "-display", "none"])
            // A guest that restarts has ended.
            .arg("-no-reboot")
            .arg("-kernel")
            .arg(self.vmlinuz)
            .arg("-initrd")
            .arg(file("initramfs"))
            // What the kernel does not know it hands to the first process: `guest` makes the scenarios' binary that.
            .args([
                "-append",
                "console=ttyS0 loglevel=5 panic=-1 oops=panic rdinit=/bin/scenario -- guest",
            ])
            .args(["-serial", &serial("console")])
            .args([
                "-chardev",
                "stdio,id=output,signal=off",
                "-serial",
                "chardev:output",
            ])
            .args(["-serial", &serial("status")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut machine = qemu.spawn().context("cannot run QEMU")?;
        let output = machine.stdout.take().context("QEMU has no output")?;
        let (tell, ended) = channel();
        let copier = thread::spawn(move || {
            let copied = copy(output);
            // Nobody listens any more once the time is over.
            let _ = tell.send(());
            copied
        });
        let in_time = ended.recv_timeout(self.limit) != Err(RecvTimeoutError::Timeout);
        if !in_time {
            machine.kill().context("cannot end QEMU")?;
        }
        let machine = machine.wait()?;
        if let Ok(copied) = copier.join() {
            copied.context("cannot pass the guest's output on")?;
        }
        if let Some(code) = status(&file("status")) {
            return Ok(Ending::Exited(code));
        }
        let reason = if !in_time {
            format!("it did not end within {} s", self.limit.as_secs())
        } else if machine.success() {
            "it stopped before the command had ended".to_owned()
        } else {
            format!("QEMU failed: {machine}")
        };
        Ok(Ending::Failed(reason + &last_words(&file("console"))))
    }

    fn initramfs(&self) -> Result<Vec<u8>> {
        let mut archive = Initramfs::default();
        // The first process's standard streams, before it has mounted anything.
        archive.device("/dev/console", 5, 1)?;
        self.programs.install(&mut archive)?;
        let command = self.command.iter().map(String::as_str);
        let default = DEFAULT_COMMAND.iter().copied();
        let command: Vec<&str> = if self.command.is_empty() {
            default.collect()
        } else {
            command.collect()
        };
        archive.file(COMMAND_FILE, command.join("\0").as_bytes())?;
        archive.file(ENVIRONMENT_FILE, ENVIRONMENT.join("\0").as_bytes())?;
        archive.finish()
    }
}

/// A directory that goes away.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let path = env::temp_dir().join(format!("portwatch-vm-{}", process::id()));
        fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // If it stays behind it only takes room.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Passes bytes on as they come.
fn copy(mut from: impl Read) -> io::Result<()> {
    let mut buffer = [0; 4096];
    let mut to = io::stdout();
    loop {
        let length = from.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..length])?;
        to.flush()?;
    }
}

/// The exit code that the guest told.
fn status(file: &Path) -> Option<u8> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn last_words(console: &Path) -> String {
    let console = fs::read(console).unwrap_or_default();
    let console = String::from_utf8_lossy(&console);
    let lines: Vec<&str> = console.lines().collect();
    let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
    if last.is_empty() {
        return "; the kernel said nothing".to_owned();
    }
    format!("; the kernel said:\n  {}", last.join("\n  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_status_nothing_is_made_up() {
        let scratch = Scratch::new().unwrap();
        let file = scratch.0.join("status");
        assert_eq!(status(&file), None);
        for (content, code) in [
            ("", None),
            ("101\n", Some(101)),
            ("0\n", Some(0)),
            ("x", None),
        ] {
            fs::write(&file, content).unwrap();
            assert_eq!(status(&file), code);
        }
        assert_eq!(
            last_words(&scratch.0.join("none")),
            "; the kernel said nothing"
        );
    }
}
