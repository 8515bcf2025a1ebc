//! What runs in the guests: built here, and linked statically, for there are no libraries.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::initramfs::Initramfs;
use crate::shell::root;

const TARGET: &str = "x86_64-unknown-linux-gnu";
/// Symbols would only fill the guest's memory.
const FLAGS: &str = "-Ctarget-feature=+crt-static -Cstrip=symbols";

/// The program that measures.
pub(super) const BENCH: &str = "bench";

/// Where programs are in the guest.
const BIN: &str = "/bin";
/// Where the BPF object is there.
const OBJECT: &str = "/bin/portwatch.bpf.o";

/// Files for the guests' `/bin`, by what they are called there.
#[derive(Debug)]
pub(super) struct Programs {
    files: Vec<(String, PathBuf)>,
    /// A BPF object that is not portwatch's own: `PORTWATCH_BPF_OBJECT`.
    object: Option<PathBuf>,
    /// Where the live tests look for the scenarios: cargo tells them when it builds them.
    scenario: PathBuf,
}

impl Programs {
    /// Builds ours, as they are shipped, and takes these as well. The benchmarks are built only if the guest runs them.
    pub(super) fn build(more: &[PathBuf], benchmarks: bool) -> Result<Self> {
        let mut built = executables(&["build", "--package", "portwatch", "--bin", "portwatch"])?;
        let tests = ["test", "--no-run", "--package", "portwatch-tests"];
        built.extend(executables(&[&tests[..], &["--test", "live"]].concat())?);
        if benchmarks {
            let bench = ["build", "--package", "portwatch-bench", "--bin", BENCH];
            built.extend(executables(&bench)?);
        }
        let find = |name: &str| {
            let mut found = built.iter().filter(|(built, _)| built == name);
            let found = found.next().map(|(_, path)| path.clone());
            found.with_context(|| format!("cargo has not built {name}"))
        };
        let scenario = find("scenario")?;
        let bench = benchmarks.then(|| find(BENCH)).transpose()?;
        let mut files = vec![
            ("portwatch".to_owned(), find("portwatch")?),
            ("live".to_owned(), find("live")?),
            ("scenario".to_owned(), scenario.clone()),
        ];
        files.extend(bench.map(|path| (BENCH.to_owned(), path)));
        for path in more {
            let name = path.file_name().and_then(OsStr::to_str);
            let name = name.with_context(|| format!("{} has no name", path.display()))?;
            if !path.is_file() {
                bail!("{} is no file", path.display());
            }
            files.push((name.to_owned(), path.clone()));
        }
        Ok(Self {
            files,
            object: env::var_os("PORTWATCH_BPF_OBJECT").map(PathBuf::from),
            scenario,
        })
    }

    /// Where they are here.
    pub(super) fn path(&self, name: &str) -> Option<&Path> {
        let mut files = self.files.iter();
        files
            .find(|(file, _)| file == name)
            .map(|(_, path)| path.as_path())
    }

    /// Where the guest has the BPF object, if there is one beside portwatch's own.
    pub(super) fn object(&self) -> Option<&'static str> {
        self.object.is_some().then_some(OBJECT)
    }

    /// Puts them into a guest's file system.
    pub(super) fn install(&self, into: &mut Initramfs) -> Result<()> {
        let read =
            |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
        for (name, path) in &self.files {
            into.file(&format!("{BIN}/{name}"), &read(path)?)?;
        }
        if let Some(object) = &self.object {
            into.file(OBJECT, &read(object)?)?;
        }
        if self.scenario != Path::new(BIN).join("scenario") {
            into.symlink(&self.scenario, &format!("{BIN}/scenario"))?;
        }
        Ok(())
    }
}

/// Runs cargo and gives the name and the path of each executable that is then there.
fn executables(arguments: &[&str]) -> Result<Vec<(String, PathBuf)>> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(root())
        .args(arguments)
        .args(["--release", "--locked", "--target", TARGET])
        .arg("--message-format=json-render-diagnostics")
        .env("RUSTFLAGS", FLAGS)
        // It would win over the other one.
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .stderr(Stdio::inherit());
    let output = cargo.output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!("the guests' programs cannot be built");
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let executable = |line: &str| {
        let message: Value = serde_json::from_str(line).ok()?;
        let path = message["executable"].as_str()?;
        let name = message["target"]["name"].as_str()?;
        Some((name.to_owned(), PathBuf::from(path)))
    };
    Ok(messages.lines().filter_map(executable).collect())
}
