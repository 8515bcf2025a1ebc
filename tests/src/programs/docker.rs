//! A Docker daemon of our own, in mount and network namespaces of its own: nothing of it stays on the machine.

use std::{
    fs,
    io::Write,
    net::Ipv4Addr,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::harness::{can, patience};

/// Debian's own: another version's client may come first on the PATH.
const DAEMON: &str = "/usr/sbin/dockerd";
const CLIENT: &str = "/usr/bin/docker";
/// Of Debian's `busybox-static`: it needs no libraries.
const BUSYBOX: &str = "/bin/busybox";
/// What containers run.
const IMAGE: &str = "portwatch-tests";
/// The address of the bridge.
const BRIDGE: &str = "172.31.77.1/24";
/// What the first container gets.
pub const FIRST: Ipv4Addr = Ipv4Addr::new(172, 31, 77, 2);
/// Longest wait for a command of the client, in seconds.
const SECONDS: &str = "60";

/// A daemon that runs. It ends, with its containers, when this is dropped.
pub struct Docker {
    daemon: Child,
    directory: TempDir,
}

impl Docker {
    /// Starts it, with an image of busybox; `None` where it is not installed: see [`can`].
    pub fn start() -> Result<Option<Self>> {
        let installed = [DAEMON, CLIENT, BUSYBOX]
            .iter()
            .all(|path| Path::new(path).is_file());
        if !can("docker.io and busybox-static must be installed", installed) {
            return Ok(None);
        }
        // Paths of unix sockets are short.
        let directory = tempfile::Builder::new()
            .prefix("pw-docker-")
            .tempdir_in("/tmp")?;
        let path = |name: &str| directory.path().join(name).display().to_string();
        fs::write(path("daemon.json"), "{}")?;
        let log = fs::File::create(path("log"))?;
        let daemon = Command::new("unshare")
            .args(["--mount", "--net", "--propagation", "private", "sh", "-c"])
            .arg(r#"ip link set lo up && exec "$0" "$@""#)
            .args([DAEMON, "--storage-driver", "vfs", "--bip", BRIDGE])
            // There is nowhere to route to.
            .args(["--iptables=false", "--ip6tables=false"])
            .args(["--config-file", &path("daemon.json")])
            .args(["--data-root", &path("data")])
            .args(["--exec-root", &path("exec")])
            .args(["--pidfile", &path("pid")])
            .args(["--host", &format!("unix://{}", path("docker.sock"))])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("unshare")?;
        let mut docker = Self { daemon, directory };
        docker.await_daemon()?;
        docker.import()?;
        Ok(Some(docker))
    }

    /// Process id of the daemon, in whose network namespace are the ports that it publishes.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.daemon.id()
    }

    /// Runs a container in the background; gives its id.
    pub fn run(&self, options: &[&str], command: &[&str]) -> Result<String> {
        let mut arguments = vec!["run", "--detach"];
        arguments.extend(options);
        arguments.push(IMAGE);
        arguments.extend(command);
        let output = self.client(&arguments)?;
        ensure!(output.status.success(), "docker run: {output:?}");
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Runs a command in a container, and waits for its end.
    pub fn exec(&self, container: &str, command: &[&str]) -> Result<Output> {
        let mut arguments = vec!["exec", container];
        arguments.extend(command);
        self.client(&arguments)
    }

    /// A command that runs in the network namespace of the daemon.
    #[must_use]
    pub fn beside_the_daemon(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/proc/{}/ns/net", self.pid()))
            .arg(program);
        command
    }

    fn client(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = self.client_command();
        command.args(arguments).stdin(Stdio::null());
        command.output().with_context(|| format!("{command:?}"))
    }

    fn client_command(&self) -> Command {
        let directory = self.directory.path();
        let mut command = Command::new("timeout");
        command
            .args([SECONDS, CLIENT, "--host"])
            .arg(format!(
                "unix://{}",
                directory.join("docker.sock").display()
            ))
            .env("DOCKER_CONFIG", directory)
            .env_remove("DOCKER_HOST")
            .env_remove("DOCKER_CONTEXT");
        command
    }

    fn await_daemon(&mut self) -> Result<()> {
        let deadline = Instant::now() + 3 * patience();
        // The client itself waits for an answer, once there is a socket.
        while !self.client(&["version"])?.status.success() {
            let log = || fs::read_to_string(self.directory.path().join("log"));
            let ended = self.daemon.try_wait()?;
            ensure!(ended.is_none(), "dockerd has ended: {}", log()?);
            ensure!(
                Instant::now() < deadline,
                "dockerd does not answer: {}",
                log()?
            );
            thread::yield_now();
        }
        Ok(())
    }

    fn import(&self) -> Result<()> {
        let root = self.directory.path().join("root");
        let bin = root.join("bin");
        fs::create_dir_all(&bin)?;
        fs::copy(BUSYBOX, bin.join("busybox"))?;
        for applet in ["sh", "httpd"] {
            symlink("busybox", bin.join(applet))?;
        }
        let tar = Command::new("tar")
            .arg("-C")
            .arg(&root)
            .args(["-c", "."])
            .output()?;
        ensure!(tar.status.success(), "tar: {tar:?}");
        let mut import = self
            .client_command()
            .args(["import", "-", IMAGE])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        import
            .stdin
            .take()
            .context("no stdin")?
            .write_all(&tar.stdout)?;
        let status = import.wait()?;
        ensure!(status.success(), "docker import: {status}");
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let containers = self.client(&["ps", "--all", "--quiet"])?;
        let ids = String::from_utf8(containers.stdout)?;
        let ids: Vec<&str> = ids.split_whitespace().collect();
        if !ids.is_empty() {
            self.client(&[&["rm", "--force"], &ids[..]].concat())?;
        }
        kill(Pid::from_raw(self.pid().cast_signed()), Signal::SIGTERM)?;
        let deadline = Instant::now() + patience();
        while self.daemon.try_wait()?.is_none() && Instant::now() < deadline {
            thread::yield_now();
        }
        Ok(())
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        // Best effort, and whatever is left is killed: its arguments name the directory, which is ours alone.
        let _ = self.end();
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        for pid in of_directory(self.directory.path()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        for group in control_groups() {
            // Fails where another daemon uses it.
            let _ = fs::remove_dir(group);
        }
    }
}

/// Processes that have the directory among their arguments.
fn of_directory(directory: &Path) -> Vec<i32> {
    let directory = directory.display().to_string();
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid: &i32| {
            fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|cmdline| String::from_utf8_lossy(&cmdline).contains(&directory))
        })
        .collect()
}

/// What the daemon's containers had their control groups in.
fn control_groups() -> Vec<PathBuf> {
    let Ok(hierarchies) = fs::read_dir("/sys/fs/cgroup") else {
        return Vec::new();
    };
    hierarchies
        .filter_map(|entry| Some(entry.ok()?.path().join("docker")))
        .filter(|group| group.is_dir())
        .collect()
}
