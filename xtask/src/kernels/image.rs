//! A kernel's types, out of the image that boots.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSection};

const GZIP: &[u8] = b"\x1f\x8b\x08";

/// How each compression begins, and the program that undoes it.
const COMPRESSIONS: &[(&[u8], &str)] = &[
    (GZIP, "gzip"),
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
    let payload = || {
        let start = (setup_sectors + 1) * 512 + word(0x248)?;
        let payload = vmlinuz.get(start..)?.get(..word(0x24c)?)?;
        if payload.starts_with(GZIP) {
            return Some(payload);
        }
        // The length of what comes out has been put behind it. Gzip ends so by itself.
        payload.split_last_chunk::<4>().map(|(payload, _)| payload)
    };
    payload().context("the bzImage is cut off")
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A bzImage of one setup sector with these bytes as its kernel.
    fn image(kernel: &[u8], len: usize) -> Vec<u8> {
        let mut image = vec![0; 1024];
        image[0x1f1] = 1;
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x248..0x24c].copy_from_slice(&16_u32.to_le_bytes());
        image[0x24c..0x250].copy_from_slice(&(len as u32).to_le_bytes());
        image.extend([0; 16]);
        image.extend(kernel);
        image
    }

    #[test]
    fn the_kernel_is_cut_out_of_its_image() {
        let xz = b"\xfd7zXZ\0kernel\x10\x20\x30\x40";
        let found = image(xz, xz.len());
        assert_eq!(payload(&found).unwrap(), &xz[..xz.len() - 4]);
        let gzip = b"\x1f\x8b\x08kernel";
        assert_eq!(payload(&image(gzip, gzip.len())).unwrap(), gzip);
    }

    #[test]
    fn what_is_no_image_is_refused() {
        for (image, error) in [
            (vec![], "not a bzImage"),
            (vec![0; 2000], "not a bzImage"),
            (image(b"kernel", 7), "the bzImage is cut off"),
            (image(b"kernel", 3), "the bzImage is cut off"),
            (image(b"kernel", usize::MAX), "the bzImage is cut off"),
        ] {
            assert_eq!(payload(&image).unwrap_err().to_string(), error);
        }
    }
}
