//! Debian's kernels, for tests against what is out there: the image to boot, and its types.
//!
//! They come from the mirror that this machine's own apt uses and are checked by apt as any package is. Nothing is
//! installed: each is unpacked into a cache outside of the checkout and stays there.

pub(crate) mod archive;
mod image;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::shell::say;
use archive::{Archive, Mirror};

/// A kernel of Debian.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kernel {
    /// What it is called here, and the directory in the cache.
    pub(crate) name: &'static str,
    /// What its version begins with.
    version: &'static str,
    /// Where it is looked for, in this order.
    suites: &'static [(Mirror, &'static str)],
}

/// The oldest that portwatch supports, the two stable ones, and the newest.
pub(crate) const KERNELS: &[Kernel] = &[
    Kernel {
        name: "5.10",
        version: "5.10.",
        suites: &[
            (Mirror::Security, "bullseye-security"),
            (Mirror::Main, "bullseye"),
        ],
    },
    Kernel {
        name: "6.1",
        version: "6.1.",
        suites: &[
            (Mirror::Security, "bookworm-security"),
            (Mirror::Main, "bookworm"),
        ],
    },
    Kernel {
        name: "6.12",
        version: "6.12.",
        suites: &[
            (Mirror::Security, "trixie-security"),
            (Mirror::Main, "trixie"),
            (Mirror::Main, "bookworm-backports"),
        ],
    },
    Kernel {
        name: "newest",
        version: "",
        suites: &[(Mirror::Main, "sid")],
    },
];

/// The kernel for machines in a cloud: small, and with everything that portwatch looks at.
const PACKAGE: &str = "linux-image-cloud-amd64";

impl Kernel {
    /// Where it is kept: `vmlinuz`, its types in `btf`, and the packages it came from in `packages`.
    pub(crate) fn directory(&self) -> Result<PathBuf> {
        Ok(cache()?.join("kernels").join(self.name))
    }

    /// Makes sure that it is there and returns where. With `refresh` it fetches a newer one, if there is any.
    pub(crate) fn ensure(&self, refresh: bool) -> Result<PathBuf> {
        let directory = self.directory()?;
        // Written last.
        if directory.join("packages").is_file() && !refresh {
            return Ok(directory);
        }
        say(format!("Fetching Debian's kernel {} ...", self.name));
        let parent = directory.parent().context("no cache directory")?;
        fs::create_dir_all(parent)
            .with_context(|| format!("cannot create {}", parent.display()))?;
        let scratch = parent.join(format!(".{}-{}", self.name, std::process::id()));
        let fetched = self.fetch(&scratch, &directory);
        let cleaned = fs::remove_dir_all(&scratch);
        fetched.with_context(|| format!("cannot obtain Debian's kernel {}", self.name))?;
        cleaned.with_context(|| format!("cannot remove {}", scratch.display()))?;
        Ok(directory)
    }

    fn fetch(&self, scratch: &Path, directory: &Path) -> Result<()> {
        let mut failures = Vec::new();
        for &(mirror, suite) in self.suites {
            match self.fetch_from(mirror, suite, &scratch.join(suite), directory) {
                Ok(()) => return Ok(()),
                Err(error) => failures.push(format!("{suite}: {error:#}")),
            }
        }
        bail!("{}", failures.join("\n"))
    }

    fn fetch_from(
        &self,
        mirror: Mirror,
        suite: &str,
        scratch: &Path,
        directory: &Path,
    ) -> Result<()> {
        let archive = Archive::open(&[(mirror, suite)], scratch)?;
        // The package of this name is empty and depends on the one of today's version.
        let wanted = format!("linux-image-{}", self.version);
        let depends = archive.depends(PACKAGE)?;
        let image = depends.iter().find(|name| name.starts_with(&wanted));
        let image = image.with_context(|| format!("{PACKAGE} is not {wanted}"))?;
        // Since 7.x the image itself is in another package.
        let mut packages = vec![image.clone()];
        let depends = archive.depends(image)?;
        packages.extend(
            depends
                .into_iter()
                .filter(|name| name.starts_with("linux-binary-")),
        );
        let unpacked = scratch.join("unpacked");
        archive.unpack(&packages, &unpacked)?;
        let vmlinuz = fs::read(find_vmlinuz(&unpacked)?)?;
        let btf = image::btf(&vmlinuz, scratch)?;
        let packages = packages.join("\n") + "\n";
        fs::create_dir_all(directory)?;
        let last = directory.join("packages");
        if last.exists() {
            fs::remove_file(&last)?;
        }
        fs::write(directory.join("vmlinuz"), vmlinuz)?;
        fs::write(directory.join("btf"), btf)?;
        fs::write(last, packages)?;
        Ok(())
    }
}

/// Makes sure that all of them are there.
pub(crate) fn ensure_all(refresh: bool) -> Result<()> {
    for kernel in KERNELS {
        let directory = kernel.ensure(refresh)?;
        say(format!("{:7} {}", kernel.name, directory.display()));
    }
    Ok(())
}

/// Where files are kept that can be fetched again: `$XDG_CACHE_HOME/portwatch`.
pub(crate) fn cache() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME") {
        Some(directory) if Path::new(&directory).is_absolute() => PathBuf::from(directory),
        _ => std::env::home_dir()
            .context("neither XDG_CACHE_HOME nor HOME is set")?
            .join(".cache"),
    };
    Ok(base.join("portwatch"))
}

/// The image among the files of the packages: `boot/vmlinuz-VERSION`, and since 7.x `usr/lib/modules/VERSION/vmlinuz`.
fn find_vmlinuz(unpacked: &Path) -> Result<PathBuf> {
    let files = |directory: PathBuf| {
        let files = fs::read_dir(directory).into_iter().flatten();
        files.filter_map(|entry| Some(entry.ok()?.path()))
    };
    let is_image = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        path.is_file() && name.to_string_lossy().starts_with("vmlinuz")
    };
    let modules = files(unpacked.join("usr/lib/modules")).flat_map(files);
    let mut images = files(unpacked.join("boot")).chain(modules).filter(is_image);
    images.next().context("the packages are without vmlinuz")
}
