//! The packages of this workspace, as their manifests state them.

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::shell::{cargo, output};

/// A package.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// The oldest Rust that compiles it.
    pub(crate) rust_version: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
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
