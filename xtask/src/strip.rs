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

#[cfg(test)]
mod tests {
    use object::read::elf::ElfFile64;
    use object::{Object, ObjectSection};

    #[test]
    fn the_committed_object_has_btf_and_nothing_for_debuggers() {
        let file = crate::shell::root().join(crate::stamp::OBJECT);
        let bytes = std::fs::read(file).unwrap();
        let object = ElfFile64::<object::Endianness>::parse(bytes.as_slice()).unwrap();
        let names: Vec<_> = object
            .sections()
            .map(|section| section.name().unwrap().to_owned())
            .collect();
        for wanted in [".BTF", ".BTF.ext", "license", ".rodata"] {
            assert!(
                names.iter().any(|name| name == wanted),
                "{wanted} is missing"
            );
        }
        let unwanted: Vec<_> = names
            .iter()
            .filter(|name| name.contains(".debug_"))
            .collect();
        assert!(unwanted.is_empty(), "{unwanted:?}; run `cargo xtask ebpf`");
    }
}
