//! Installing Debian packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{output, run, say, which};

/// Asked by Debian's packages whether their daemon may start when they are installed.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Whether packages can be installed this way at all.
pub(crate) fn is_here() -> bool {
    which("apt-get").is_some() && which("dpkg-query").is_some()
}

/// Which of the packages are not installed.
pub(crate) fn missing<'a>(packages: &[&'a str]) -> Vec<&'a str> {
    let is_installed = |package: &str| {
        let mut query = Command::new("dpkg-query");
        query.args(["--show", "--showformat=${db:Status-Status}", package]);
        output(&mut query).is_ok_and(|status| status == "installed")
    };
    let all = packages.iter().copied();
    all.filter(|package| !is_installed(package)).collect()
}

/// Installs packages in today's versions. Their daemons do not start.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    say(format!("Installing {} ...", packages.join(" ")));
    if let Err(error) = update() {
        // A source that has nothing to do with this may be broken.
        say(format!("warning: {error:#}"));
    }
    let _policy = Policy::forbid_starts()?;
    let mut command = privileged("apt-get")?;
    command.args(["install", "--yes", "--quiet", "--no-install-recommends"]);
    run(command.args(packages))?;
    disable_daemons(packages)
}

/// Fetches the lists of packages.
pub(crate) fn update() -> Result<()> {
    run(privileged("apt-get")?.args(["update", "--quiet"]))
}

/// A command that may change the system: run by root, or through sudo.
fn privileged(program: &str) -> Result<Command> {
    if output(Command::new("id").arg("-u"))? == "0" {
        let mut command = Command::new(program);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        return Ok(command);
    }
    let Some(sudo) = which("sudo") else {
        bail!("installing packages needs root, and there is no sudo");
    };
    let mut command = Command::new(sudo);
    command.args(["env", "DEBIAN_FRONTEND=noninteractive", program]);
    Ok(command)
}

/// The daemons were installed for their programs: they are not to run after the next boot either.
fn disable_daemons(packages: &[&str]) -> Result<()> {
    // Of Docker the daemon, and the socket that would start it.
    const DAEMONS: &[(&str, &[&str])] = &[
        ("nginx-light", &["nginx"]),
        ("redis-server", &["redis-server"]),
        ("docker.io", &["docker", "docker.socket"]),
        ("openssh-server", &["ssh"]),
    ];
    for (package, services) in DAEMONS {
        if !packages.contains(package) {
            continue;
        }
        if which("systemctl").is_some() {
            run(privileged("systemctl")?
                .args(["disable", "--quiet"])
                .args(*services))?;
        } else {
            run(privileged("update-rc.d")?.args([services[0], "disable"]))?;
        }
    }
    Ok(())
}

/// Keeps daemons from starting while it lives.
struct Policy {
    /// Whether it is ours to remove: a machine that already has one keeps it.
    ours: bool,
}

impl Policy {
    fn forbid_starts() -> Result<Self> {
        if Path::new(POLICY).exists() {
            return Ok(Self { ours: false });
        }
        let script: PathBuf =
            std::env::temp_dir().join(format!("portwatch-policy-{}", std::process::id()));
        fs::write(&script, "#!/bin/sh\nexit 101\n")
            .with_context(|| format!("cannot write {}", script.display()))?;
        let mut install = privileged("install")?;
        let installed = run(install.args(["--mode=755"]).arg(&script).arg(POLICY));
        // A file of no more use; that it stays behind harms nobody.
        let _ = fs::remove_file(&script);
        installed.map(|()| Self { ours: true })
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        if !self.ours {
            return;
        }
        let removed = privileged("rm").and_then(|mut rm| run(rm.args(["--force", POLICY])));
        if let Err(error) = removed {
            say(format!(
                "warning: remove {POLICY} by hand, it keeps daemons from starting: {error:#}"
            ));
        }
    }
}
