//! `cargo xtask ebpf`: builds the object that portwatch carries, or checks the committed one.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{root, run, say};
use crate::stamp::{OBJECT, STAMP, Stamp, digest};
use crate::strip::strip_dwarf;
use crate::toolchain::{Toolchain, cargo_home};

const TARGET: &str = "bpfel-unknown-none";

/// Arguments for rustc, apart from paths. `bpf_target_arch` selects whose `pt_regs` aya-ebpf reads, which only kprobes and
/// uprobes have: portwatch has none, so that one little-endian object serves every architecture.
pub(crate) const FLAGS: &[&str] = &[
    "--cfg=bpf_target_arch=\"x86_64\"",
    "-Cdebuginfo=2",
    "-Clink-arg=--btf",
];

/// Settings of cargo that the child keeps: where packages come from, and how cargo talks. Everything else that begins
/// with `CARGO` or `RUST` is left behind by the cargo that runs this, or would change the object.
const KEPT: &[&str] = &[
    "CARGO_HOME",
    "CARGO_HTTP_",
    "CARGO_NET_",
    "CARGO_REGISTR",
    "CARGO_SOURCE_",
    "CARGO_TERM_",
    "RUSTUP_HOME",
];

/// Builds the object; without `output` and `debug_log` the one in the source tree, with its stamp.
pub(crate) fn build(debug_log: bool, output: Option<PathBuf>) -> Result<()> {
    let toolchain = Toolchain::find()?;
    let object = compile(&toolchain, debug_log)?;
    let root = root();
    let committed = output.is_none() && !debug_log;
    let default = if debug_log {
        "target/ebpf/portwatch-debug-log.bpf.o"
    } else {
        OBJECT
    };
    let file = output.unwrap_or_else(|| root.join(default));
    write(&file, &object)?;
    if committed {
        let stamp = Stamp::of_sources(&root)?.with_object(&object, toolchain.versions);
        write(&root.join(STAMP), stamp.to_string().as_bytes())?;
    }
    say(format!("{} ({} bytes)", file.display(), object.len()));
    Ok(())
}

/// Checks that the committed object is made of the sources that are here, and rebuilds it to prove it.
pub(crate) fn check(output: Option<PathBuf>) -> Result<()> {
    let root = root();
    let stamp = Stamp::read_current(&root)?;
    let toolchain = Toolchain::find()?;
    let object = compile(&toolchain, false)?;
    if let Some(file) = output {
        write(&file, &object)?;
    }
    if stamp.toolchain != toolchain.versions {
        say(format!(
            "The committed object fits its sources. Its bytes are not compared: it was built with\n  {}\n\
             and here is\n  {}",
            stamp.toolchain.join("\n  "),
            toolchain.versions.join("\n  "),
        ));
    } else if stamp.object == digest(&object) {
        say("The committed object is, byte for byte, what its sources make.");
    } else {
        bail!(
            "{OBJECT} is not what its sources make with this same toolchain; run `cargo xtask ebpf`"
        );
    }
    Ok(())
}

/// Compiles portwatch-ebpf and strips the result.
fn compile(toolchain: &Toolchain, debug_log: bool) -> Result<Vec<u8>> {
    let root = root();
    let target_dir = root.join("target/ebpf");
    // Packages have to be unpacked before the directories that they are in can be given names.
    run(cargo(toolchain)
        .current_dir(&root)
        .args(["fetch", "--locked", "--quiet"]))?;
    let mut build = cargo(toolchain);
    build
        .current_dir(&root)
        .args(["build", "--release", "--locked"])
        .args(["--package", "portwatch-ebpf", "--bin", "portwatch"])
        .args(["-Z", "build-std=core", "--target", TARGET])
        .arg("--target-dir")
        .arg(&target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags(&root, toolchain)?)
        .env("PATH", path_with(&toolchain.bpf_linker)?);
    if debug_log {
        build.args(["--features", "debug-log"]);
    }
    run(&mut build)?;
    let file = target_dir.join(TARGET).join("release/portwatch");
    let object = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    strip_dwarf(&object).context("cannot strip the object")
}

/// The toolchain's cargo, free of what the cargo around us has set.
fn cargo(toolchain: &Toolchain) -> Command {
    let mut cargo = Command::new(&toolchain.cargo);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let foreign = text.starts_with("CARGO") || text.starts_with("RUST");
        if foreign && !KEPT.iter().any(|kept| text.starts_with(kept)) {
            cargo.env_remove(&name);
        }
    }
    cargo
        .env("RUSTC", &toolchain.rustc)
        .env("RUSTC_BOOTSTRAP", "1");
    cargo
}

/// [`FLAGS`], and names for the directories that differ from machine to machine: paths get into the object.
fn rustflags(root: &Path, toolchain: &Toolchain) -> Result<OsString> {
    let mut named = vec![
        (toolchain.rust_src.clone(), "/rust"),
        (root.to_path_buf(), "/portwatch"),
    ];
    // One directory for each registry, called after a digest of its address.
    let registries = cargo_home()?.join("registry/src");
    for entry in fs::read_dir(&registries).into_iter().flatten() {
        let entry = entry.with_context(|| format!("cannot read {}", registries.display()))?;
        named.push((entry.path(), "/cargo"));
    }
    let mut flags: Vec<OsString> = FLAGS.iter().map(OsString::from).collect();
    for (directory, name) in named {
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(directory);
        flag.push("=");
        flag.push(name);
        flags.push(flag);
    }
    Ok(flags.join(OsStr::new("\x1f")))
}

/// PATH with the linker's directory in front: the target names its linker without a path, and naming it with one would
/// make the object depend on where it is.
fn path_with(program: &Path) -> Result<OsString> {
    let directory = program.parent().map(Path::to_path_buf);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = directory.into_iter().chain(std::env::split_paths(&path));
    std::env::join_paths(all).context("a directory in PATH cannot be passed on")
}

fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(directory) = file.parent() {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
    }
    fs::write(file, bytes).with_context(|| format!("cannot write {}", file.display()))
}
