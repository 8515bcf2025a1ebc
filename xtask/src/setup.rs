//! `cargo xtask setup`: installs what the tests and the eBPF object need. Does nothing where all is there.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::apt;
use crate::duckdb;
use crate::shell::{output, run, say, which};
use crate::toolchain::{Compiler, Toolchain, find_bpf_linker};

/// Programs that the tests run, and the Debian packages that bring them.
const PROGRAMS: &[(&str, &str)] = &[
    ("nginx", "nginx-light"),
    ("redis-server", "redis-server"),
    ("python3", "python3"),
    ("node", "nodejs"),
    // Looks at the page of a report.
    ("chromium", "chromium"),
    ("chromedriver", "chromium-driver"),
    ("ip", "iproute2"),
    ("logrotate", "logrotate"),
    // Asks logs, as docs/logs.md shows.
    ("jq", "jq"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("dockerd", "docker.io"),
    // Without libraries: containers have nothing else.
    ("busybox", "busybox-static"),
    ("systemd-socket-activate", "systemd"),
    ("socat", "socat"),
    ("ssh", "openssh-client"),
    ("sshd", "openssh-server"),
    // Kernels are compressed with one of these.
    ("gzip", "gzip"),
    ("xz", "xz-utils"),
    ("zstd", "zstd"),
    ("lz4", "lz4"),
];

/// A compiler that can build `core`, with its sources. It needs nothing of a web browser: Debian keeps this one young for
/// the browsers' sake.
const COMPILER: &[&str] = &["rustc-web", "cargo-web", "rust-web-src"];

const BPF_LINKER: &str = "0.13.0";

/// What the tests need.
pub(crate) fn tests() -> Result<()> {
    programs()?;
    duckdb::ensure()
}

fn programs() -> Result<()> {
    let absent: Vec<_> = PROGRAMS
        .iter()
        .filter(|(program, _)| !is_program(program))
        .collect();
    if absent.is_empty() {
        return Ok(());
    }
    if !apt::is_here() {
        let names: Vec<_> = absent.iter().map(|(program, _)| *program).collect();
        bail!(
            "the tests run programs that are not installed: {}. This is not Debian, so please install them by hand.",
            names.join(", ")
        );
    }
    let packages: Vec<_> = absent.iter().map(|(_, package)| *package).collect();
    apt::install(&packages)
}

/// What `cargo xtask ebpf` needs.
pub(crate) fn ebpf() -> Result<()> {
    if let Ok(toolchain) = Toolchain::find() {
        say(format!(
            "The BPF toolchain is there: {}.",
            toolchain.versions.join("; ")
        ));
        return Ok(());
    }
    let compiler = match Compiler::find() {
        Some(compiler) => compiler,
        None => install_compiler()?,
    };
    if find_bpf_linker().is_none() {
        install_bpf_linker(&compiler)?;
    }
    Toolchain::find().map(|_| ())
}

fn install_compiler() -> Result<Compiler> {
    if !apt::is_here() {
        bail!(
            "building the object needs a Rust compiler with the sources of `core`. This is not Debian, so please run\n  \
             rustup toolchain install nightly --component rust-src\n\
             and install bpf-linker from its releases; its LLVM must not be older than the compiler's."
        );
    }
    // Also where they are there, but too old.
    apt::install(COMPILER)?;
    Compiler::find().context("the packages of the compiler are installed, but it is not found")
}

/// Builds the linker against the compiler's version of LLVM.
fn install_bpf_linker(compiler: &Compiler) -> Result<()> {
    let major = compiler.llvm.split('.').next().unwrap_or_default();
    if !apt::is_here() {
        bail!(
            "bpf-linker is not installed. This is not Debian, so please install it from its releases; it has to bring \
             LLVM {major} or newer."
        );
    }
    let llvm = format!("llvm-{major}-dev");
    apt::install(&apt::missing(&[llvm.as_str(), "g++"]))?;
    let prefix = output(Command::new(format!("llvm-config-{major}")).arg("--prefix"))?;
    say("Installing bpf-linker, which takes a minute or two ...");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["install", "bpf-linker", "--version", BPF_LINKER, "--locked"])
        .args(["--no-default-features", "--features"])
        .arg(format!("llvm-{major}"))
        .env("LLVM_PREFIX", prefix)
        // What `cargo run` has set for this package is none of that one's business.
        .env_remove("CARGO_MANIFEST_DIR");
    run(&mut cargo)
}

/// Also where only root's PATH leads.
fn is_program(name: &str) -> bool {
    which(name).is_some()
        || ["/usr/sbin", "/sbin"]
            .iter()
            .any(|directory| std::path::Path::new(directory).join(name).is_file())
}
