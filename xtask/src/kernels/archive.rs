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

/// The lists of packages of some suites, in a directory of our own.
pub(crate) struct Archive {
    directory: PathBuf,
    /// The suite whose packages are taken even where another one has newer ones.
    preferred: Option<String>,
}

impl Archive {
    /// Fetches the lists of packages of some suites.
    pub(crate) fn open(suites: &[(Mirror, &str)], directory: &Path) -> Result<Self> {
        if !apt::is_here() || !Path::new(KEYRING).is_file() {
            bail!(
                "Debian's packages can be fetched and checked only on Debian: there is no {KEYRING}"
            );
        }
        for part in ["lists/partial", "cache/archives/partial"] {
            let part = directory.join(part);
            fs::create_dir_all(&part)
                .with_context(|| format!("cannot create {}", part.display()))?;
        }
        let mut sources = Vec::new();
        for (mirror, suite) in suites {
            let address = mirror.address()?;
            sources.push(format!(
                "deb [arch=amd64 signed-by={KEYRING}] {address} {suite} main\n"
            ));
        }
        fs::write(directory.join("sources"), sources.concat())?;
        let archive = Self {
            directory: directory.to_path_buf(),
            preferred: None,
        };
        output(archive.command("apt-get").arg("update"))?;
        Ok(archive)
    }

    /// Takes packages from this suite where it has them.
    pub(crate) fn preferring(mut self, suite: &str) -> Self {
        self.preferred = Some(suite.to_owned());
        self
    }

    /// A package and those that it needs, but for what is installed on this machine.
    pub(crate) fn missing(&self, package: &str) -> Result<Vec<String>> {
        let mut install = self.command("apt-get");
        install.args(["install", "--simulate", "--no-install-recommends", package]);
        let told = output(&mut install)?;
        // "Inst libslirp0 (4.7.0-1 Debian:12.11/stable [amd64])"
        let names = told.lines().filter_map(|line| line.strip_prefix("Inst "));
        let names = names.filter_map(|line| line.split_whitespace().next());
        Ok(names.map(str::to_owned).collect())
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

    /// Fetches packages and puts their files into a directory.
    pub(crate) fn unpack(&self, packages: &[String], into: &Path) -> Result<()> {
        let downloads = self.directory.join("packages");
        fs::create_dir_all(&downloads)?;
        fs::create_dir_all(into)?;
        let mut download = self.command("apt-get");
        output(
            download
                .current_dir(&downloads)
                .arg("download")
                .args(packages),
        )?;
        let files = fs::read_dir(&downloads)?.filter_map(|entry| Some(entry.ok()?.path()));
        let is_package = |path: &PathBuf| path.extension().is_some_and(|ext| ext == "deb");
        let files: Vec<_> = files.filter(is_package).collect();
        if files.len() < packages.len() {
            bail!("apt-get has not left {} behind", packages.join(", "));
        }
        for file in files {
            run(Command::new("dpkg").arg("--extract").arg(file).arg(into))?;
        }
        Ok(())
    }

    /// An apt command that sees these suites alone.
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
        if let Some(suite) = &self.preferred {
            command.args(["-o", &format!("APT::Default-Release={suite}")]);
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
