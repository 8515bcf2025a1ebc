//! One guest, from the power switch to its end.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;
use std::{env, fs, process};

use anyhow::{Context, Result};
use serde_json::Value;

use super::initramfs::Initramfs;
use super::job::{self, Job};
use super::programs::Programs;
use super::qemu::Qemu;
use crate::shell::say;

/// Lines of the kernel that are shown when a guest fails.
const LAST_LINES: usize = 60;

/// What the guest's first process reads: `portwatch_tests::guest`.
const JOBS_FILE: &str = "/guest/jobs";
/// How that process begins the line of a job's title.
const TITLE: &str = "--- ";

/// A machine to be.
pub(super) struct Guest<'a> {
    /// What its kernel is called.
    pub(super) name: &'a str,
    pub(super) qemu: &'a Qemu,
    pub(super) vmlinuz: &'a Path,
    pub(super) programs: &'a Programs,
    /// Emulated ones wait for each other a lot: two guests of one do together what one of two does in half of the time.
    pub(super) processors: usize,
    pub(super) jobs: &'a [Job],
    /// Longest time that it may run.
    pub(super) limit: Duration,
    /// Keeps its output to its end, and meanwhile shows only the jobs' titles.
    pub(super) is_quiet: bool,
}

/// How it ended.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// What came of the jobs, as far as they were run.
    pub(super) done: Vec<Done>,
    /// Why not all were.
    pub(super) failure: Option<String>,
    /// Its output, if it was kept.
    pub(super) output: Vec<u8>,
}

/// A job that has ended.
#[derive(Debug, PartialEq)]
pub(super) struct Done {
    /// The command's exit code.
    pub(super) code: u8,
    pub(super) seconds: f64,
    /// Standard output of one that answers.
    pub(super) answer: String,
}

impl Guest<'_> {
    /// Boots it and runs the jobs.
    pub(super) fn run(&self) -> Result<Ending> {
        let scratch = Scratch::new()?;
        let file = |name: &str| scratch.0.join(name);
        fs::write(file("initramfs"), self.initramfs()?)?;
        let mut machine = self
            .command(&scratch.0)
            .spawn()
            .context("cannot run QEMU")?;
        let output = machine.stdout.take().context("QEMU has no output")?;
        let (tell, ended) = channel();
        let (name, is_quiet) = (self.name.to_owned(), self.is_quiet);
        let copier = thread::spawn(move || {
            let copied = if is_quiet {
                keep(output, &name)
            } else {
                pass(output).map(|()| Vec::new())
            };
            // Nobody listens any more once the time is over.
            let _ = tell.send(());
            copied
        });
        let in_time = ended.recv_timeout(self.limit) != Err(RecvTimeoutError::Timeout);
        if !in_time {
            machine.kill().context("cannot end QEMU")?;
        }
        let status = machine.wait()?;
        let output = match copier.join() {
            Ok(kept) => kept.context("cannot pass the guest's output on")?,
            Err(_) => Vec::new(),
        };
        let done = done(&fs::read_to_string(file("status")).unwrap_or_default());
        let failure = (done.len() < self.jobs.len())
            .then(|| self.reason(in_time, status) + &last_words(&file("console")));
        Ok(Ending {
            done,
            failure,
            output,
        })
    }

    fn command(&self, scratch: &Path) -> Command {
        let file = |name: &str| scratch.join(name);
        let serial = |name: &str| format!("file:{}", file(name).display());
        let mut qemu = self.qemu.command();
        qemu.args(["-accel", "tcg", "-cpu", "max", "-m", "2G"])
            .args(["-smp", &self.processors.to_string()])
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
        qemu
    }

    fn reason(&self, in_time: bool, status: ExitStatus) -> String {
        if !in_time {
            format!("it did not end within {} s", self.limit.as_secs())
        } else if status.success() {
            "it stopped before the last command had ended".to_owned()
        } else {
            format!("QEMU failed: {status}")
        }
    }

    fn initramfs(&self) -> Result<Vec<u8>> {
        let mut archive = Initramfs::default();
        // The first process's standard streams, before it has mounted anything.
        archive.device("/dev/console", 5, 1)?;
        self.programs.install(&mut archive)?;
        let jobs = job::described(self.jobs, self.programs.object())?;
        archive.file(JOBS_FILE, &jobs)?;
        archive.finish()
    }
}

/// A directory that goes away.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        // Several at a time, and each one's own.
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("portwatch-vm-{}-{number}", process::id());
        let path = env::temp_dir().join(name);
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
fn pass(mut from: impl Read) -> io::Result<()> {
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

/// Keeps it, and tells which job has begun.
fn keep(from: impl Read, name: &str) -> io::Result<Vec<u8>> {
    let mut from = BufReader::new(from);
    let mut kept = Vec::new();
    loop {
        let begin = kept.len();
        if from.read_until(b'\n', &mut kept)? == 0 {
            return Ok(kept);
        }
        let line = String::from_utf8_lossy(&kept[begin..]);
        if let Some(title) = line.strip_prefix(TITLE) {
            say(format!("kernel {name:7} {}", title.trim_end()));
        }
    }
}

/// What the guest told of its jobs, a line of JSON for each.
fn done(status: &str) -> Vec<Done> {
    let parse = |line: &str| {
        let done: Value = serde_json::from_str(line).ok()?;
        Some(Done {
            code: u8::try_from(done["code"].as_u64()?).ok()?,
            seconds: done["seconds"].as_f64()?,
            answer: done["answer"].as_str()?.to_owned(),
        })
    };
    status.lines().map_while(parse).collect()
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
        assert_eq!(done(""), []);
        let status = concat!(
            r#"{"code":101,"seconds":1.5,"answer":""}"#,
            "\n",
            r#"{"code":0,"seconds":2.0,"answer":"a\nb"}"#,
            "\n",
            r#"{"code":0,"sec"#,
        );
        let told: Vec<_> = done(status)
            .into_iter()
            .map(|done| (done.code, done.seconds, done.answer))
            .collect();
        assert_eq!(told, [(101, 1.5, String::new()), (0, 2.0, "a\nb".into())]);
        let scratch = Scratch::new().unwrap();
        assert_eq!(
            last_words(&scratch.0.join("none")),
            "; the kernel said nothing"
        );
    }

    #[test]
    fn output_is_kept_as_it_is() {
        let output = b"--- rule ---\nx\xff\nno end";
        assert_eq!(keep(&output[..], "6.1").unwrap(), output);
    }
}
