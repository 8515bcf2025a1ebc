//! Real programs, as they are installed.

pub mod browser;
pub mod docker;

use std::{
    env,
    io::Read,
    net::{Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Instant,
};

use anyhow::{Context, Result, ensure};

use crate::{
    harness::{can, patience},
    lab::ports::await_tcp_state,
};

/// A program that runs. It is killed when this is dropped.
pub struct Program(Child);

impl Program {
    /// Starts it. It hears and says nothing.
    pub fn start(command: &mut Command) -> Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        child
            .spawn()
            .map(Self)
            .with_context(|| format!("{command:?}"))
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + patience();
        loop {
            // There is no wait with a time limit.
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            ensure!(Instant::now() < deadline, "{:?} does not end", self.0);
            thread::yield_now();
        }
    }

    /// Kills it, as a supervisor does that has lost its patience.
    pub fn kill(&mut self) -> Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where a program lies. If it is not installed the test cannot run: see [`can`].
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let beside: Vec<PathBuf> = ["/usr/sbin", "/sbin"].map(PathBuf::from).into();
    let found = env::split_paths(&path)
        .chain(beside)
        .map(|dir| dir.join(name))
        .find(|path| path.is_file());
    can(&format!("{name} must be installed"), found.is_some());
    found
}

/// DuckDB's command, where `cargo xtask setup` puts it.
#[must_use]
pub fn duckdb() -> Option<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.filter(|cache| cache.is_absolute());
    let cache = cache.or_else(|| Some(env::home_dir()?.join(".cache")))?;
    let program = cache.join("portwatch/duckdb/bin/duckdb");
    program.is_file().then_some(program)
}

/// Python itself: what `python3` names can be a script that executes it.
#[must_use]
pub fn python() -> Option<PathBuf> {
    let output = Command::new(find("python3")?)
        .args([
            "-c",
            "import os, sys; print(os.path.realpath(sys.executable), end='')",
        ])
        .output()
        .ok()?;
    String::from_utf8(output.stdout).ok().map(PathBuf::from)
}

/// Runs a script of Python's, with a port as its argument.
pub fn python_script(python: &Path, script: &str, port: u16) -> Result<Program> {
    Program::start(Command::new(python).args(["-c", script, &port.to_string()]))
}

/// Connects to 127.0.0.1 as soon as somebody listens there.
pub fn connect(port: u16) -> Result<TcpStream> {
    let deadline = Instant::now() + patience();
    loop {
        // Without a tracer nobody says when a program has begun to listen.
        match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            Ok(stream) => return Ok(stream),
            Err(error) => {
                ensure!(
                    Instant::now() < deadline,
                    "nobody listens on port {port}: {error}"
                );
                thread::yield_now();
            }
        }
    }
}

/// Reads until the server has closed, and closes: the server's side stays in `TIME_WAIT`. Gives the client's port.
pub fn close_after_server(mut stream: TcpStream) -> Result<u16> {
    let (port, server_port) = (stream.local_addr()?.port(), stream.peer_addr()?.port());
    stream.read_to_end(&mut Vec::new())?;
    // Our ACK may be delayed. If it came after our FIN, the mini-socket's answer to it would meet a closed socket, whose
    // reset would end the TIME_WAIT (RFC 1337).
    await_tcp_state(server_port, port, Some(5))?;
    drop(stream);
    await_tcp_state(server_port, port, Some(6))?;
    Ok(port)
}
