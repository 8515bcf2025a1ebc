//! The packages of this workspace, as their manifests state them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::shell::{cargo, output};

/// A package.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// The oldest Rust that compiles it.
    pub(crate) rust_version: Option<String>,
    #[serde(default)]
    dependencies: Vec<Dependency>,
    #[serde(default)]
    targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    /// `dev` or `build`; none for what the package is linked with.
    kind: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Target {
    kind: Vec<String>,
    src_path: PathBuf,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

impl Package {
    /// What it is linked with, of other people too.
    pub(crate) fn dependencies(&self) -> impl Iterator<Item = &str> {
        let linked = self
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind.is_none());
        linked.map(|dependency| dependency.name.as_str())
    }

    /// The root of its library, else of its program.
    pub(crate) fn source(&self) -> Option<&Path> {
        let of = |kind: &str| {
            let is_it = |target: &&Target| target.kind.iter().any(|other| other == kind);
            self.targets.iter().find(is_it)
        };
        let target = of("lib").or_else(|| of("bin"))?;
        Some(&target.src_path)
    }
}

/// The packages, ordered by name.
pub(crate) fn packages() -> Result<Vec<Package>> {
    let mut metadata = cargo();
    parse(&output(metadata.args([
        "metadata",
        "--format-version=1",
        "--no-deps",
        "--locked",
    ]))?)
}

/// Reads what `cargo metadata --no-deps` prints.
pub(crate) fn parse(json: &str) -> Result<Vec<Package>> {
    let metadata: Metadata = serde_json::from_str(json).context("cargo metadata")?;
    let mut packages = metadata.packages;
    packages.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(packages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_linked_with_what_neither_tests_nor_builds_it() {
        let json = r#"{"packages": [
            {"name": "b", "rust_version": null, "targets": [
                {"kind": ["bin"], "src_path": "/b/main.rs"}, {"kind": ["lib"], "src_path": "/b/lib.rs"}]},
            {"name": "a", "rust_version": "1.88", "targets": [
                {"kind": ["test"], "src_path": "/a/t.rs"}, {"kind": ["bin"], "src_path": "/a/main.rs"}],
             "dependencies": [{"name": "b", "kind": null}, {"name": "c", "kind": "dev"}, {"name": "d", "kind": "build"}]}
        ]}"#;
        let packages = parse(json).unwrap();
        assert_eq!(
            (packages[0].name.as_str(), packages[1].name.as_str()),
            ("a", "b")
        );
        assert_eq!(packages[0].dependencies().collect::<Vec<_>>(), ["b"]);
        assert_eq!(packages[0].source(), Some(Path::new("/a/main.rs")));
        assert_eq!(packages[1].source(), Some(Path::new("/b/lib.rs")));
    }
}
