//! The compiler for the BPF target, which is not the one that builds the rest.
//!
//! The BPF targets come without a compiled `core`, so it is built along, from the compiler's own sources. Stable rustup
//! toolchains refuse that; Debian's `rustc-web` and `rust-web-src` do it with `RUSTC_BOOTSTRAP=1`, and so does a rustup
//! nightly with `rust-src`. The linker's LLVM must not be older than the compiler's.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{output, which};

/// aya-ebpf and this workspace need Rust 1.88.
const OLDEST_MINOR: u32 = 88;

/// Everything that takes part in making the object.
pub(crate) struct Toolchain {
    pub(crate) cargo: PathBuf,
    pub(crate) rustc: PathBuf,
    /// Where `core`'s sources are.
    pub(crate) rust_src: PathBuf,
    pub(crate) bpf_linker: PathBuf,
    /// Compiler and linker with their versions: equal toolchains make equal objects.
    pub(crate) versions: Vec<String>,
}

/// A compiler with the sources of `core`, but maybe without the linker.
pub(crate) struct Compiler {
    pub(crate) cargo: PathBuf,
    pub(crate) rustc: PathBuf,
    rust_src: PathBuf,
    /// `rustc -vV`, for instance `1.96.0 (ac68faa20 2026-05-25)`.
    version: String,
    /// Version of its LLVM.
    pub(crate) llvm: String,
}

impl Toolchain {
    /// Finds the first complete one.
    pub(crate) fn find() -> Result<Self> {
        let Some(compiler) = Compiler::find() else {
            bail!(
                "no Rust compiler with the sources of `core` is installed, which the BPF target needs.\n\
                 Run `cargo xtask setup`, or `rustup toolchain install nightly --component rust-src`."
            );
        };
        let Some(bpf_linker) = find_bpf_linker() else {
            bail!("bpf-linker is not installed. Run `cargo xtask setup`.");
        };
        let linker = output(Command::new(&bpf_linker).arg("--version"))?;
        let versions = vec![
            format!("rustc {}, LLVM {}", compiler.version, compiler.llvm),
            format!("{linker}, {}", linker_llvm(&bpf_linker)),
        ];
        Ok(Self {
            cargo: compiler.cargo,
            rustc: compiler.rustc,
            rust_src: compiler.rust_src,
            bpf_linker,
            versions,
        })
    }
}

impl Compiler {
    /// Debian's, else rustup's nightly.
    pub(crate) fn find() -> Option<Self> {
        debian().or_else(rustup)
    }

    fn new(cargo: PathBuf, rustc: PathBuf) -> Result<Self> {
        let sysroot = output(Command::new(&rustc).args(["--print", "sysroot"]))?;
        let rust_src = Path::new(&sysroot).join("lib/rustlib/src/rust");
        if !rust_src.join("library/core/src/lib.rs").is_file() {
            bail!("{} is without the sources of core", rustc.display());
        }
        let verbose = output(Command::new(&rustc).arg("-vV"))?;
        let field = |name: &str| {
            let line = verbose.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::to_owned)
                .with_context(|| format!("{} -vV does not say {name}", rustc.display()))
        };
        let release = field("release: ")?;
        let minor = release.split('.').nth(1);
        let minor = minor.and_then(|minor| minor.parse().ok());
        if minor < Some(OLDEST_MINOR) {
            bail!("{} is too old: {release}", rustc.display());
        }
        Ok(Self {
            rust_src,
            version: field("rustc ")?,
            llvm: field("LLVM version: ")?,
            cargo,
            rustc,
        })
    }
}

fn debian() -> Option<Compiler> {
    let file = |package: &str, name: &str| {
        let files = output(Command::new("dpkg").args(["-L", package])).ok()?;
        let mut files = files.lines().map(PathBuf::from);
        // cargo-web has a wrapper for Debian's own package builds, too, in /usr/share/cargo/bin.
        files.find(|path| path.ends_with(Path::new("usr/bin").join(name)))
    };
    Compiler::new(file("cargo-web", "cargo")?, file("rustc-web", "rustc")?).ok()
}

fn rustup() -> Option<Compiler> {
    let file = |name: &str| {
        let mut command = Command::new("rustup");
        let path = output(command.args(["which", "--toolchain", "nightly", name]));
        path.ok().map(PathBuf::from)
    };
    Compiler::new(file("cargo")?, file("rustc")?).ok()
}

/// On PATH, or where `cargo install` puts it.
pub(crate) fn find_bpf_linker() -> Option<PathBuf> {
    which("bpf-linker").or_else(|| {
        let installed = cargo_home().ok()?.join("bin/bpf-linker");
        installed.is_file().then_some(installed)
    })
}

/// Where cargo keeps downloaded sources and installed programs.
pub(crate) fn cargo_home() -> Result<PathBuf> {
    if let Some(home) = std::env::var_os("CARGO_HOME") {
        return Ok(PathBuf::from(home));
    }
    let home = std::env::home_dir().context("neither CARGO_HOME nor HOME is set")?;
    Ok(home.join(".cargo"))
}

/// The LLVM that writes the object: a shared library of the system, or one inside of the linker.
fn linker_llvm(bpf_linker: &Path) -> String {
    let libraries = output(Command::new("ldd").arg(bpf_linker)).unwrap_or_default();
    let shared = libraries
        .lines()
        .find_map(|line| line.trim().strip_prefix("libLLVM.so."));
    let Some(major) = shared.and_then(|version| version.split(['.', ' ']).next()) else {
        return "its own LLVM".to_owned();
    };
    match output(Command::new(format!("llvm-config-{major}")).arg("--version")) {
        Ok(version) => format!("LLVM {version}"),
        Err(_) => format!("LLVM {major}"),
    }
}
