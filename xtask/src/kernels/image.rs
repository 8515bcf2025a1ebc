//! A kernel's types, out of the image that boots.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSection};

/// How each compression begins, and the program that undoes it.
const COMPRESSIONS: &[(&[u8], &str)] = &[
    (b"\x1f\x8b\x08", "gzip"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x02\x21\x4c\x18", "lz4"),
];

/// The `.BTF` section of the kernel inside of a bzImage.
pub(crate) fn btf(vmlinuz: &[u8], scratch: &Path) -> Result<Vec<u8>> {
    let kernel = decompress(payload(vmlinuz)?, scratch)?;
    let elf = object::File::parse(kernel.as_slice()).context("the kernel is not ELF")?;
    let section = elf.section_by_name(".BTF");
    let section = section.context("the kernel has no BTF")?;
    Ok(section.data()?.to_vec())
}

/// The compressed kernel, as the header for boot loaders describes it (Documentation/arch/x86/boot.rst).
fn payload(vmlinuz: &[u8]) -> Result<&[u8]> {
    let word = |at: usize| {
        let bytes = vmlinuz.get(at..).and_then(<[u8]>::first_chunk::<4>);
        bytes.map(|bytes| u32::from_le_bytes(*bytes) as usize)
    };
    if vmlinuz.get(0x202..0x206) != Some(b"HdrS") {
        bail!("not a bzImage");
    }
    let setup_sectors = usize::from(vmlinuz[0x1f1]);
    let (Some(offset), Some(len)) = (word(0x248), word(0x24c)) else {
        bail!("the bzImage is cut off");
    };
    let start = (setup_sectors + 1) * 512 + offset;
    // The last four bytes are the length of what comes out. Of gzip they are part of the format.
    let end = if vmlinuz
        .get(start..)
        .is_some_and(|rest| rest.starts_with(COMPRESSIONS[0].0))
    {
        start + len
    } else {
        start + len - 4
    };
    vmlinuz.get(start..end).context("the bzImage is cut off")
}

fn decompress(payload: &[u8], scratch: &Path) -> Result<Vec<u8>> {
    let found = COMPRESSIONS
        .iter()
        .find(|(magic, _)| payload.starts_with(magic));
    let (_, program) = found.context("the kernel is compressed in an unknown way")?;
    let file = scratch.join("payload");
    fs::write(&file, payload)?;
    let output = Command::new(program)
        .args(["--decompress", "--stdout"])
        .stdin(File::open(&file)?)
        .output()
        .with_context(|| format!("cannot run {program}; `cargo xtask setup` installs it"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{program} failed: {}", stderr.trim());
    }
    Ok(output.stdout)
}
