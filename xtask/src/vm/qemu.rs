//! The emulator: this machine's, or Debian's in the cache.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::kernels::archive::{Archive, Mirror};
use crate::kernels::cache;
use crate::shell::{output, say, which};

const PROGRAM: &str = "qemu-system-x86_64";
const PACKAGE: &str = "qemu-system-x86";

/// Guests of 7.2, which Debian 12 has, end in double faults. 10 is what was tried.
const OLDEST: u32 = 10;

/// Where Debian's packages have libraries, and what QEMU loads into a machine.
const LIBRARIES: &[&str] = &["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];
const FIRMWARE: &[&str] = &["usr/share/qemu", "usr/share/seabios"];

/// An emulator that works.
#[derive(Debug)]
pub(super) struct Qemu {
    program: PathBuf,
    /// Where its package was unpacked, if it is not installed.
    unpacked: Option<PathBuf>,
}

impl Qemu {
    /// The one that is installed, if it is young enough, else one from Debian's backports.
    pub(super) fn ensure() -> Result<Self> {
        if let Some(program) = which(PROGRAM) {
            let installed = Self {
                program,
                unpacked: None,
            };
            if installed.check().is_ok() {
                return Ok(installed);
            }
        }
        let unpacked = cache()?.join("qemu");
        let cached = Self {
            program: unpacked.join("usr/bin").join(PROGRAM),
            unpacked: Some(unpacked.clone()),
        };
        // Its libraries may have gone since.
        if cached.check().is_err() {
            fetch(&unpacked)
                .and_then(|()| cached.check())
                .with_context(|| {
                    format!("no {PROGRAM} {OLDEST} or newer is installed, and none can be obtained")
                })?;
        }
        Ok(cached)
    }

    /// The command, without arguments of its own.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(unpacked) = &self.unpacked {
            let libraries = LIBRARIES.iter().map(|part| unpacked.join(part));
            // No directory of ours has a colon in its name, and without libraries QEMU says which it misses.
            command.env(
                "LD_LIBRARY_PATH",
                env::join_paths(libraries).unwrap_or_default(),
            );
            for part in FIRMWARE {
                command.arg("-L").arg(unpacked.join(part));
            }
        }
        command
    }

    fn check(&self) -> Result<()> {
        let told = output(self.command().arg("--version"))?;
        let version = major(&told).with_context(|| format!("{PROGRAM} said {told:?}"))?;
        if version < OLDEST {
            bail!("{} is of version {version}", self.program.display());
        }
        Ok(())
    }
}

/// "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)"
fn major(told: &str) -> Option<u32> {
    let (_, version) = told.split_once(" version ")?;
    version.split('.').next()?.parse().ok()
}

/// Unpacks it together with those of its libraries that this machine does not have.
fn fetch(into: &Path) -> Result<()> {
    say("Fetching QEMU ...");
    let scratch = into.with_extension(format!("{}", std::process::id()));
    let fetched = fetch_through(&scratch, into);
    if scratch.exists() {
        fs::remove_dir_all(&scratch)
            .with_context(|| format!("cannot remove {}", scratch.display()))?;
    }
    fetched
}

fn fetch_through(scratch: &Path, into: &Path) -> Result<()> {
    let release = fs::read_to_string("/etc/os-release").context("/etc/os-release")?;
    let codename = codename(&release).context("/etc/os-release tells no VERSION_CODENAME")?;
    let backports = format!("{codename}-backports");
    let archive = Archive::open(
        &[
            (Mirror::Main, codename),
            (Mirror::Security, &format!("{codename}-security")),
            (Mirror::Main, &backports),
        ],
        scratch,
    )?
    .preferring(&backports);
    let unpacked = scratch.join("unpacked");
    archive.unpack(&archive.missing(PACKAGE)?, &unpacked)?;
    if into.exists() {
        fs::remove_dir_all(into).with_context(|| format!("cannot remove {}", into.display()))?;
    }
    fs::rename(&unpacked, into).with_context(|| format!("cannot create {}", into.display()))
}

fn codename(release: &str) -> Option<&str> {
    let mut lines = release.lines();
    lines.find_map(|line| line.strip_prefix("VERSION_CODENAME="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_and_files_say_is_understood() {
        let told = "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)\nCopyright";
        assert_eq!(major(told), Some(10));
        assert_eq!(major("QEMU emulator"), None);
        let release = "NAME=\"Debian GNU/Linux\"\nVERSION_CODENAME=bookworm\nID=debian\n";
        assert_eq!(codename(release), Some("bookworm"));
        assert_eq!(codename("ID=arch\n"), None);
    }
}
