//! Makes small BTF for the tests.

use super::parse::kind;

/// `kind_flag` of a type.
pub(super) const FLAG: u32 = 1 << 31;

/// Types and strings under construction.
pub(super) struct Builder {
    types: Vec<u8>,
    strings: Vec<u8>,
    layout: Vec<u8>,
    count: u32,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            types: Vec::new(),
            strings: vec![0],
            layout: Vec::new(),
            count: 0,
        }
    }

    /// Adds a type with the words that follow its fixed part, and returns its id.
    pub(super) fn add(&mut self, name: &str, info: u32, size_or_id: u32, rest: &[u32]) -> u32 {
        let name = self.string(name);
        for word in [name, info, size_or_id].iter().chain(rest) {
            self.types.extend(word.to_le_bytes());
        }
        self.count += 1;
        self.count
    }

    /// An integer of so many bytes.
    pub(super) fn int(&mut self, bytes: u32) -> u32 {
        self.add("int", kind::INT << 24, bytes, &[bytes * 8])
    }

    /// A typedef, a qualifier, a pointer or a function: what has another type and nothing else.
    pub(super) fn of(&mut self, kind: u32, name: &str, id: u32) -> u32 {
        self.add(name, kind << 24, id, &[])
    }

    /// A struct of members (name, type, `offset` word).
    pub(super) fn structure(&mut self, name: &str, size: u32, members: &[(&str, u32, u32)]) -> u32 {
        self.compound(name, kind::STRUCT << 24, size, members)
    }

    /// A struct or union, its kind shifted and with [`FLAG`] if it is to be set.
    pub(super) fn compound(
        &mut self,
        name: &str,
        info: u32,
        size: u32,
        members: &[(&str, u32, u32)],
    ) -> u32 {
        let words: Vec<u32> = members
            .iter()
            .flat_map(|&(name, id, offset)| [self.string(name), id, offset])
            .collect();
        self.add(name, info | members.len() as u32, size, &words)
    }

    /// What the layout section says of the next kind: bytes that always follow, and bytes for each item.
    pub(super) fn layout(&mut self, always: u8, item: u8) {
        self.layout.extend([always, item, 0, 0]);
    }

    /// Offset of a string.
    pub(super) fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let offset = self.strings.len() as u32;
        self.strings.extend(text.bytes().chain([0]));
        offset
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        let mut words = vec![24, 0, types, types, strings];
        if !self.layout.is_empty() {
            words[0] = 32;
            words.extend([types + strings, self.layout.len() as u32]);
        }
        let mut bytes = vec![0x9f, 0xeb, 1, 0];
        bytes.extend(words.into_iter().flat_map(u32::to_le_bytes));
        bytes.extend(&self.types);
        bytes.extend(&self.strings);
        bytes.extend(&self.layout);
        bytes
    }
}
