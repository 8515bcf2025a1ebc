//! Leaves out what only a debugger reads.

use anyhow::Result;
use object::build::elf::{Builder, SectionData};
use object::elf::SHT_STRTAB;

/// Removes the DWARF sections of an ELF object and what belongs to them. BTF stays: the kernel and the loader read it. Its
/// relocations, as large again, are for linking objects with each other, which nobody does with this one.
pub(crate) fn strip_dwarf(object: &[u8]) -> Result<Vec<u8>> {
    let mut builder = Builder::read(object)?;
    for section in &mut builder.sections {
        let name = section.name.as_slice();
        section.delete = name.starts_with(b".debug_")
            || name.starts_with(b".rel.debug_")
            || name == b".rel.BTF.ext";
    }
    builder.delete_orphans();
    // LLVM keeps the names of sections and symbols in one table; the builder writes two.
    let names = builder.sections.add();
    names.name = ".shstrtab".into();
    names.sh_type = SHT_STRTAB;
    names.data = SectionData::SectionString;
    let mut stripped = Vec::new();
    builder.write(&mut stripped)?;
    Ok(stripped)
}
