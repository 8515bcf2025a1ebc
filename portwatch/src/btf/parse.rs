//! The binary format: header, types, strings (`include/uapi/linux/btf.h`).

use std::collections::HashMap;

use thiserror::Error;

/// Why bytes are not BTF, or not a BTF that can be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BtfError {
    /// Shorter than a header.
    #[error("not BTF: {0} bytes are too few for its header")]
    TooShort(usize),
    /// Something else.
    #[error("not BTF: it begins with {0:#06x} instead of 0xeb9f")]
    Magic(u16),
    /// From a big-endian machine.
    #[error("this BTF is big-endian; portwatch reads little-endian kernels only")]
    BigEndian,
    /// A format of the future.
    #[error("BTF version {0} is unknown; portwatch reads version 1")]
    Version(u8),
    /// A section reaches past the end.
    #[error("damaged BTF: its {section} section lies outside of its {len} bytes")]
    Section {
        /// Which section.
        section: &'static str,
        /// How many bytes there are.
        len: usize,
    },
    /// The description of a type reaches past the end of the type section.
    #[error("damaged BTF: type {id} is cut off")]
    CutOff {
        /// The type.
        id: u32,
    },
    /// A kind of type whose length is not known, so that what follows it cannot be found.
    #[error("type {id} is of kind {kind}, which portwatch does not know; it needs an update")]
    Kind {
        /// The type.
        id: u32,
        /// Its kind.
        kind: u32,
    },
    /// A type refers to one that does not exist.
    #[error("damaged BTF: it refers to type {id}, which does not exist")]
    NoType {
        /// The type.
        id: u32,
    },
    /// Types that contain themselves, or would take forever to search.
    #[error("damaged BTF: its types are nested without end")]
    Endless,
}

/// Kinds of types (`BTF_KIND_*`).
pub(super) mod kind {
    pub(crate) const VOID: u32 = 0;
    pub(crate) const INT: u32 = 1;
    pub(crate) const PTR: u32 = 2;
    pub(crate) const ARRAY: u32 = 3;
    pub(crate) const STRUCT: u32 = 4;
    pub(crate) const UNION: u32 = 5;
    pub(crate) const ENUM: u32 = 6;
    pub(crate) const FWD: u32 = 7;
    pub(crate) const TYPEDEF: u32 = 8;
    pub(crate) const VOLATILE: u32 = 9;
    pub(crate) const CONST: u32 = 10;
    pub(crate) const RESTRICT: u32 = 11;
    pub(crate) const FUNC: u32 = 12;
    pub(crate) const FUNC_PROTO: u32 = 13;
    pub(crate) const VAR: u32 = 14;
    pub(crate) const DATASEC: u32 = 15;
    pub(crate) const FLOAT: u32 = 16;
    pub(crate) const DECL_TAG: u32 = 17;
    pub(crate) const TYPE_TAG: u32 = 18;
    pub(crate) const ENUM64: u32 = 19;
}

const MAGIC: u16 = 0xeb9f;
const HEADER_LEN: usize = 24;
/// The header with `layout_off` and `layout_len` (since 7.1).
const HEADER_LEN_WITH_LAYOUT: usize = 32;
const TYPE_LEN: usize = 12;
const LAYOUT_LEN: usize = 4;

/// A kernel's types, read in place.
#[derive(Debug)]
pub struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Where each type begins in `types`; type 1 is the first.
    starts: Vec<u32>,
    /// Structs, unions, enums and functions by name. A name may occur more than once.
    names: HashMap<&'a [u8], Vec<u32>>,
}

/// The fixed part of a type's description, and what follows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Type<'a> {
    pub(super) kind: u32,
    pub(super) kind_flag: bool,
    /// Number of members, enumerators or parameters.
    pub(super) len: usize,
    /// Size in bytes or another type's id, depending on the kind.
    pub(super) size_or_id: u32,
    name: u32,
    rest: &'a [u8],
}

impl<'a> Btf<'a> {
    /// Reads the header and finds every type.
    ///
    /// # Errors
    /// If the bytes are not little-endian BTF of version 1, or are damaged.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BtfError> {
        if bytes.len() < HEADER_LEN {
            return Err(BtfError::TooShort(bytes.len()));
        }
        let magic = u16::from_le_bytes([bytes[0], bytes[1]]);
        if magic == MAGIC.swap_bytes() {
            return Err(BtfError::BigEndian);
        }
        if magic != MAGIC {
            return Err(BtfError::Magic(magic));
        }
        if bytes[2] != 1 {
            return Err(BtfError::Version(bytes[2]));
        }
        let header = |index: usize| u32_at(bytes, 4 + index * 4).unwrap_or_default() as usize;
        let header_len = header(0);
        if header_len < HEADER_LEN {
            return Err(outside("header", bytes));
        }
        let body = bytes.get(header_len..).ok_or(outside("header", bytes))?;
        let section = |name, first| {
            let (offset, len) = (header(first), header(first + 1));
            let end = offset.checked_add(len).ok_or(outside(name, bytes))?;
            body.get(offset..end).ok_or(outside(name, bytes))
        };
        let layouts = if header_len >= HEADER_LEN_WITH_LAYOUT {
            section("layout", 5)?
        } else {
            &[]
        };
        let mut btf = Self {
            types: section("type", 1)?,
            strings: section("string", 3)?,
            starts: Vec::new(),
            names: HashMap::new(),
        };
        btf.scan(layouts)?;
        Ok(btf)
    }

    /// Finds where each type begins, and what the types of interest are called.
    fn scan(&mut self, layouts: &[u8]) -> Result<(), BtfError> {
        let mut at = 0;
        while at < self.types.len() {
            let id = self.starts.len() as u32 + 1;
            let typ = type_at(self.types, at).ok_or(BtfError::CutOff { id })?;
            let len = len_of_rest(&typ, layouts).ok_or(BtfError::Kind { id, kind: typ.kind })?;
            if len > typ.rest.len() {
                return Err(BtfError::CutOff { id });
            }
            self.starts.push(at as u32);
            at += TYPE_LEN + len;
            if matches!(
                typ.kind,
                kind::STRUCT | kind::UNION | kind::ENUM | kind::ENUM64 | kind::FUNC
            ) {
                let name = self.string(typ.name);
                if !name.is_empty() {
                    self.names.entry(name).or_default().push(id);
                }
            }
        }
        Ok(())
    }

    /// Every type of that name and one of the kinds, in the order of their ids.
    pub(super) fn named(&self, name: &str, kinds: &[u32]) -> impl Iterator<Item = Type<'a>> {
        self.ids(name)
            .filter_map(|id| self.get(id).ok())
            .filter(move |typ| kinds.contains(&typ.kind))
    }

    /// The ids of everything of that name, in order.
    pub(super) fn ids(&self, name: &str) -> impl Iterator<Item = u32> {
        self.names
            .get(name.as_bytes())
            .into_iter()
            .flatten()
            .copied()
    }

    /// The type with this id; 0 is `void`, which is not written down.
    pub(super) fn get(&self, id: u32) -> Result<Type<'a>, BtfError> {
        if id == 0 {
            return Ok(Type::VOID);
        }
        (id as usize)
            .checked_sub(1)
            .and_then(|index| self.starts.get(index))
            .and_then(|&start| type_at(self.types, start as usize))
            .ok_or(BtfError::NoType { id })
    }

    /// The string at an offset of the string section; empty for an anonymous thing or an offset that is not there.
    pub(super) fn string(&self, offset: u32) -> &'a [u8] {
        let rest = self.strings.get(offset as usize..).unwrap_or_default();
        rest.split(|&byte| byte == 0).next().unwrap_or_default()
    }
}

impl<'a> Type<'a> {
    const VOID: Self = Self {
        kind: kind::VOID,
        kind_flag: false,
        len: 0,
        size_or_id: 0,
        name: 0,
        rest: &[],
    };

    /// The `index`th 32-bit word after the fixed part; 0 past the end of the type section, which `scan` ruled out.
    pub(super) fn word(&self, index: usize) -> u32 {
        u32_at(self.rest, index * 4).unwrap_or_default()
    }

    /// The words of the items (members, enumerators, parameters) that follow the fixed part.
    pub(super) fn items<const WORDS: usize>(
        self,
    ) -> impl Iterator<Item = [u32; WORDS]> + use<'a, WORDS> {
        (0..self.len).map(move |item| std::array::from_fn(|word| self.word(item * WORDS + word)))
    }
}

/// The type whose description begins at `at`.
fn type_at(types: &[u8], at: usize) -> Option<Type<'_>> {
    let info = u32_at(types, at + 4)?;
    Some(Type {
        // Until 7.1 the number had 16 bits and the kind 5, and the bits between them were zero.
        kind: info >> 24 & 0x7f,
        kind_flag: info >> 31 == 1,
        len: (info & 0x00ff_ffff) as usize,
        size_or_id: u32_at(types, at + 8)?,
        name: u32_at(types, at)?,
        rest: types.get(at + TYPE_LEN..)?,
    })
}

/// How many bytes follow the fixed part of a type. A kind that is newer than this list is described by the layout
/// section (`struct btf_layout`: a byte for the size of what always follows, a byte for that of one item).
fn len_of_rest(typ: &Type<'_>, layouts: &[u8]) -> Option<usize> {
    Some(match typ.kind {
        kind::INT | kind::VAR | kind::DECL_TAG => 4,
        kind::ARRAY => 12,
        kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => 12 * typ.len,
        kind::ENUM | kind::FUNC_PROTO => 8 * typ.len,
        kind::PTR
        | kind::FWD
        | kind::TYPEDEF
        | kind::VOLATILE
        | kind::CONST
        | kind::RESTRICT
        | kind::FUNC
        | kind::FLOAT
        | kind::TYPE_TAG => 0,
        unknown => {
            let layout = layouts.get(unknown as usize * LAYOUT_LEN..)?;
            usize::from(*layout.first()?) + usize::from(*layout.get(1)?) * typ.len
        }
    })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*word))
}

fn outside(section: &'static str, bytes: &[u8]) -> BtfError {
    BtfError::Section {
        section,
        len: bytes.len(),
    }
}
