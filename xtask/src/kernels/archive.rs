//! Packages of other suites of Debian, without touching what this machine's apt knows.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::apt;
use crate::shell::{output, run};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// One of the two archives that a Debian has configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mirror {
    /// Suites as they were released.
    Main,
    /// Their security updates, also those of suites that are old.
    Security,
}

/// A suite's list of packages, in a directory of our own.
pub(crate) struct Archive {
    directory: PathBuf,
}

impl Archive {
    /// Fetches the list of packages of a suite.
    pub(crate) fn open(mirror: Mirror, suite: &str, directory: &Path) -> Result<Self> {
        if !apt::is_here() || !Path::new(KEYRING).is_file() {
            bail!(
                "Debian's packages can be had, and checked, only on Debian: there is no {KEYRING}"
            );
        }
        for part in ["lists/partial", "cache/archives/partial"] {
            let part = directory.join(part);
            fs::create_dir_all(&part)
                .with_context(|| format!("cannot create {}", part.display()))?;
        }
        let address = mirror.address()?;
        let sources = format!("deb [arch=amd64 signed-by={KEYRING}] {address} {suite} main\n");
        fs::write(directory.join("sources"), sources)?;
        let archive = Self {
            directory: directory.to_path_buf(),
        };
        output(archive.command("apt-get").arg("update"))?;
        Ok(archive)
    }

    /// Names of the packages that a package depends on.
    pub(crate) fn depends(&self, package: &str) -> Result<Vec<String>> {
        let mut show = self.command("apt-cache");
        let show = output(show.args(["show", "--no-all-versions", package]))?;
        let depends = show.lines().find_map(|line| line.strip_prefix("Depends: "));
        // "linux-image-6.1.0-1-cloud-amd64 (= 6.1.1-1), kmod, linux-base (>= 4.3~) | other"
        let names = depends.unwrap_or_default().split([',', '|']);
        let names = names.filter_map(|name| name.split_whitespace().next());
        Ok(names.map(str::to_owned).collect())
    }

    /// Fetches a package and puts its files into a directory.
    pub(crate) fn unpack(&self, package: &str, into: &Path) -> Result<()> {
        let downloads = self.directory.join(package);
        fs::create_dir_all(&downloads)?;
        let mut download = self.command("apt-get");
        output(download.current_dir(&downloads).args(["download", package]))?;
        let mut files = fs::read_dir(&downloads)?.filter_map(|entry| Some(entry.ok()?.path()));
        let file = files.find(|path| path.extension().is_some_and(|ext| ext == "deb"));
        let file = file.with_context(|| format!("apt-get has not left {package} behind"))?;
        run(Command::new("dpkg").arg("--extract").arg(file).arg(into))
    }

    /// An apt command that sees this suite alone.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (option, path) in [
            ("Dir::State::Lists", "lists"),
            ("Dir::Cache", "cache"),
            ("Dir::Etc::SourceList", "sources"),
        ] {
            let value = format!("{option}={}", self.directory.join(path).display());
            command.args(["-o", &value]);
        }
        for option in [
            "Dir::Etc::SourceParts=/dev/null",
            "APT::Architecture=amd64",
            "APT::Architectures=amd64",
            "Acquire::Languages=none",
            // Our directory is not for others, not even for apt's own unprivileged user.
            "APT::Sandbox::User=root",
        ] {
            command.args(["-o", option]);
        }
        command
    }
}

impl Mirror {
    /// Where this machine gets the archive from.
    fn address(self) -> Result<String> {
        if let Some(address) = self.configured()? {
            return Ok(address);
        }
        // A machine whose lists have never been fetched does not know whose they are.
        apt::update()?;
        let address = self.configured()?;
        address.context("this machine's apt has no such archive of Debian configured")
    }

    fn configured(self) -> Result<Option<String>> {
        let mut targets = Command::new("apt-get");
        targets.args(["indextargets", "--format", "$(ORIGIN) $(LABEL) $(SITE)"]);
        let wanted = match self {
            Self::Main => "Debian Debian ",
            Self::Security => "Debian Debian-Security ",
        };
        let targets = output(&mut targets)?;
        let address = targets.lines().find_map(|line| line.strip_prefix(wanted));
        Ok(address.map(str::to_owned))
    }
}
