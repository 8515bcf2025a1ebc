//! What the committed object was made of.
//!
//! A text file next to the object: the digest of every source that goes into it, the toolchain that made it, and the
//! digest of the result. A test fails if a source was changed and the object was not rebuilt.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use toml::{Table, Value};

use crate::ebpf::FLAGS;

/// The committed object, from the root of the checkout.
pub(crate) const OBJECT: &str = "portwatch/bpf/portwatch.bpf.o";
/// Its stamp.
pub(crate) const STAMP: &str = "portwatch/bpf/portwatch.stamp";

/// The crates whose files go into the object.
const CRATES: &[&str] = &["portwatch-ebpf", "portwatch-common"];

/// Only tells aya-ebpf's build script the architecture: what it is built with does not reach the object.
const BUILD_ONLY: &str = "aya-build";

const HEADER: &str =
    "# What portwatch.bpf.o is made of. Written by `cargo xtask ebpf`; not to be edited.";

/// See the module.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Digest of the object.
    pub(crate) object: String,
    /// Compiler and linker.
    pub(crate) toolchain: Vec<String>,
    /// Digest of each source by its name.
    sources: BTreeMap<String, String>,
}

/// SHA-256 in hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let mut hex = String::new();
    for byte in Sha256::digest(bytes) {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

impl Stamp {
    /// A stamp of the sources that are here, without an object.
    pub(crate) fn of_sources(root: &Path) -> Result<Self> {
        let mut sources = BTreeMap::new();
        for name in CRATES {
            collect_files(root, &root.join(name), &mut sources)?;
        }
        let manifest = read_toml(&root.join("Cargo.toml"))?;
        let lock = read_toml(&root.join("Cargo.lock"))?;
        let packages = packages(&lock)?;
        sources.extend(settings(&manifest, &packages));
        sources.extend(packages);
        let flags = FLAGS.join(" ");
        sources.insert("rustflags".to_owned(), digest(flags.as_bytes()));
        Ok(Self {
            sources,
            ..Self::default()
        })
    }

    /// Completes it.
    pub(crate) fn with_object(mut self, object: &[u8], toolchain: Vec<String>) -> Self {
        self.object = digest(object);
        self.toolchain = toolchain;
        self
    }

    /// Reads the stamp and fails unless the object is the one it describes and is made of the sources that are here.
    pub(crate) fn read_current(root: &Path) -> Result<Self> {
        let read = |name: &str| {
            fs::read(root.join(name))
                .with_context(|| format!("cannot read {name}; run `cargo xtask ebpf`"))
        };
        let stamp = Self::parse(&String::from_utf8_lossy(&read(STAMP)?))?;
        if stamp.object != digest(&read(OBJECT)?) {
            bail!("{OBJECT} is not the object that {STAMP} describes; run `cargo xtask ebpf`");
        }
        let stale = stamp.differences(&Self::of_sources(root)?);
        if !stale.is_empty() {
            bail!(
                "{OBJECT} is stale; run `cargo xtask ebpf`. Since it was built:\n  {}",
                stale.join("\n  ")
            );
        }
        Ok(stamp)
    }

    /// What changed from these sources to `now`, in words.
    fn differences(&self, now: &Self) -> Vec<String> {
        let names: BTreeSet<_> = self.sources.keys().chain(now.sources.keys()).collect();
        let change = |name: &String| match (self.sources.get(name), now.sources.get(name)) {
            (Some(old), Some(new)) if old == new => None,
            (Some(_), Some(_)) => Some(format!("{name} changed")),
            (None, _) => Some(format!("{name} is new")),
            (_, None) => Some(format!("{name} is gone")),
        };
        names.into_iter().filter_map(change).collect()
    }

    fn parse(text: &str) -> Result<Self> {
        let mut stamp = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            match line.split_once(' ') {
                Some(("object", digest)) => digest.clone_into(&mut stamp.object),
                Some(("toolchain", version)) => stamp.toolchain.push(version.to_owned()),
                Some((digest, name)) => {
                    stamp.sources.insert(name.to_owned(), digest.to_owned());
                }
                None => bail!("{STAMP} is damaged at {line:?}; run `cargo xtask ebpf`"),
            }
        }
        Ok(stamp)
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}\nobject {}", self.object)?;
        for version in &self.toolchain {
            writeln!(f, "toolchain {version}")?;
        }
        for (name, digest) in &self.sources {
            writeln!(f, "{digest} {name}")?;
        }
        Ok(())
    }
}

/// The manifests and Rust sources below a directory.
fn collect_files(
    root: &Path,
    directory: &Path,
    sources: &mut BTreeMap<String, String>,
) -> Result<()> {
    let unreadable = || format!("cannot read {}", directory.display());
    for entry in fs::read_dir(directory).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        if path.is_dir() {
            collect_files(root, &path, sources)?;
        } else if path.extension().is_some_and(|ext| ext == "rs") || path.ends_with("Cargo.toml") {
            let bytes =
                fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let name = path.strip_prefix(root)?.display().to_string();
            sources.insert(name, digest(&bytes));
        }
    }
    Ok(())
}

/// What the workspace's manifest says that reaches the object: the profile, the package fields that are inherited (the
/// version is part of the symbols' names), and the features of the packages.
fn settings(manifest: &Table, packages: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let table = |first: &str, second: &str| manifest.get(first)?.get(second)?.as_table().cloned();
    let mut dependencies = table("workspace", "dependencies").unwrap_or_default();
    let names: BTreeSet<_> = packages
        .keys()
        .filter_map(|label| label.split(' ').next())
        .collect();
    dependencies.retain(|name, _| names.contains(name));
    [
        (
            "profile.release",
            table("profile", "release").unwrap_or_default(),
        ),
        ("workspace.dependencies", dependencies),
        (
            "workspace.package",
            table("workspace", "package").unwrap_or_default(),
        ),
    ]
    .into_iter()
    .map(|(name, table)| {
        let text = table.to_string();
        (format!("Cargo.toml {name}"), digest(text.as_bytes()))
    })
    .collect()
}

/// The packages of Cargo.lock that portwatch-ebpf is built with, and what it is built by.
fn packages(lock: &Table) -> Result<BTreeMap<String, String>> {
    let all = lock.get("package").and_then(Value::as_array);
    let all = all.context("Cargo.lock is without packages")?;
    let text = |package: &Value, field: &str| {
        let value = package.get(field).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    let mut found = BTreeMap::new();
    let mut wanted = vec!["portwatch-ebpf".to_owned()];
    while let Some(dependency) = wanted.pop() {
        // "name", or "name version" where there are several.
        let mut words = dependency.split(' ');
        let (name, version) = (words.next(), words.next());
        if name == Some(BUILD_ONLY) {
            continue;
        }
        for package in all {
            let is_it = Some(text(package, "name").as_str()) == name
                && version.is_none_or(|version| text(package, "version") == version);
            let label = format!("{} {}", text(package, "name"), text(package, "version"));
            if !is_it || found.contains_key(&label) {
                continue;
            }
            let dependencies = package.get("dependencies").and_then(Value::as_array);
            let dependencies = dependencies.into_iter().flatten();
            wanted.extend(dependencies.filter_map(Value::as_str).map(str::to_owned));
            // Empty for the crates of this workspace, whose files count instead.
            found.insert(label, text(package, "checksum"));
        }
    }
    found.retain(|_, checksum| !checksum.is_empty());
    Ok(found)
}

fn read_toml(file: &Path) -> Result<Table> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    text.parse()
        .with_context(|| format!("cannot parse {}", file.display()))
}

#[cfg(test)]
mod tests;
