//! Which crate may depend on which. The rings of docs/architecture.md hold by what their manifests do not say.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use syn::Item;

use super::Outcome;
use crate::shell::{cargo, output, root};
use crate::sources::{Module, modules};
use crate::workspace::packages;

/// What a package may be linked with.
struct Ring {
    package: &'static str,
    /// Packages of this workspace.
    members: &'static [&'static str],
    others: Others,
}

/// Packages of other people.
enum Others {
    /// None but these.
    Only(&'static [&'static str]),
    /// All but these.
    Without(&'static [&'static str]),
}

const CORE: &str = "portwatch-core";

const RINGS: &[Ring] = &[
    Ring {
        package: "portwatch-common",
        members: &[],
        others: Others::Only(&["zerocopy"]),
    },
    Ring {
        package: "portwatch-ebpf",
        members: &["portwatch-common"],
        others: Others::Without(&["libc", "nix", "anyhow"]),
    },
    Ring {
        package: CORE,
        members: &["portwatch-common"],
        // Nothing among them asks the operating system for anything.
        others: Others::Only(&[
            "dyn-clone",
            "foldhash",
            "hashbrown",
            "itoa",
            "jiff",
            "jiff-core",
            "lru",
            "memchr",
            "ref-cast",
            "schemars",
            "serde",
            "serde_core",
            "serde_json",
            "thiserror",
            "zerocopy",
            "zmij",
        ]),
    },
    Ring {
        package: "portwatch-log",
        members: &["portwatch-common", CORE],
        others: Others::Without(&["aya", "aya-obj", "procfs", "tokio"]),
    },
    Ring {
        package: "portwatch-report",
        members: &["portwatch-common", CORE, "portwatch-log"],
        others: Others::Without(&["aya", "aya-obj", "procfs", "tokio"]),
    },
    // The tracer, which runs as root.
    Ring {
        package: "portwatch",
        members: &["portwatch-common", CORE, "portwatch-log"],
        others: Others::Without(&[]),
    },
];

pub(super) fn rings() -> Result<Outcome> {
    let packages = packages()?;
    let members: Vec<_> = packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let mut faults = Vec::new();
    for ring in RINGS {
        if !members.contains(&ring.package) {
            faults.push(format!("there is no package {}", ring.package));
            continue;
        }
        // Resolved by itself: what other packages switch on does not count.
        let mut tree = cargo();
        tree.args(["tree", "--locked", "--package", ring.package]);
        tree.args(["--edges", "normal,no-proc-macro", "--prefix", "depth"]);
        faults.extend(excess(ring, &members, &output(&mut tree)?)?);
    }
    if members.contains(&CORE) {
        let file = root().join(CORE).join("src/lib.rs");
        faults.extend(std_in(&modules(&file)?, &root()));
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n  "));
    Ok(Outcome::Passed)
}

/// What a package is linked with and may not be, each with the way on which it comes.
fn excess(ring: &Ring, members: &[&str], tree: &str) -> Result<Vec<String>> {
    let mut way: Vec<&str> = Vec::new();
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    for line in tree.lines().filter(|line| !line.is_empty()) {
        let (depth, name) = dependency(line)?;
        way.truncate(depth);
        way.push(name);
        let is_allowed = match &ring.others {
            _ if depth == 0 => true,
            _ if members.contains(&name) => ring.members.contains(&name),
            Others::Only(names) => names.contains(&name),
            Others::Without(names) => !names.contains(&name),
        };
        if !is_allowed && seen.insert(name) {
            faults.push(format!(
                "{} must not depend on {name}: {}",
                ring.package,
                way.join(" -> ")
            ));
        }
    }
    if way.first() != Some(&ring.package) {
        bail!("cargo tree shows nothing of {}", ring.package);
    }
    Ok(faults)
}

/// A line as `2hashbrown v0.17.2 (*)`: how deep, and what.
fn dependency(line: &str) -> Result<(usize, &str)> {
    let parsed = || {
        let name = line.find(|letter: char| !letter.is_ascii_digit())?;
        let (depth, rest) = line.split_at(name);
        Some((depth.parse().ok()?, rest.split(' ').next()?))
    };
    parsed().with_context(|| format!("cargo tree printed {line:?}"))
}

/// Where a crate that must do without the standard library takes it.
fn std_in(modules: &[Module], root: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    for module in modules {
        let file = module
            .file
            .strip_prefix(root)
            .unwrap_or(&module.file)
            .display();
        let is_no_std = || {
            let mut attributes = module.attributes.iter();
            attributes.any(|attribute| attribute.path().is_ident("no_std"))
        };
        if module.path.is_empty() && !is_no_std() {
            faults.push(format!("{file} does not say #![no_std]"));
        }
        let takes_std =
            |item: &Item| matches!(item, Item::ExternCrate(taken) if taken.ident == "std");
        if module.items.iter().any(takes_std) {
            faults.push(format!("{file} says `extern crate std`, and not for tests"));
        }
    }
    faults
}
