//! What can be asked of a kernel's types.

use super::parse::{Btf, BtfError, Type, kind};

/// How deep anonymous structs, typedefs and qualifiers may be nested. The kernel's own check allows 32.
const MAX_DEPTH: u32 = 32;

/// How many members one lookup looks at before the types are taken for an endless nest. `struct task_struct`, the
/// largest, has fewer than a thousand.
const MAX_MEMBERS: u32 = 100_000;

/// Where a member of a struct is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Bits from the beginning of the struct.
    pub bit_offset: u32,
    /// Number of bits, if it is a bit-field.
    pub bit_width: Option<u32>,
    /// Size in bytes of its type, if it is known (a bit-field's storage unit).
    pub size: Option<u32>,
}

/// A member of one struct, before its own type has been looked at.
#[derive(Clone, Copy)]
struct Found {
    bit_offset: u32,
    bit_width: Option<u32>,
    type_id: u32,
}

impl<'a> Btf<'a> {
    /// Finds a member through nested structs and unions (`"ns.inum"`); those without a name are searched too. If several
    /// structs have the name, the first in which the whole path exists counts.
    ///
    /// # Errors
    /// If the types are damaged. `None` means that they are sound and have no such struct or member.
    pub fn member(&self, structure: &str, path: &str) -> Result<Option<Member>, BtfError> {
        for typ in self.named(structure, &[kind::STRUCT, kind::UNION]) {
            let mut budget = MAX_MEMBERS;
            if let Some(found) = self.walk(typ, path, &mut budget)? {
                return self.member_of(found).map(Some);
            }
        }
        Ok(None)
    }

    /// Size of a struct or union in bytes.
    #[must_use]
    pub fn size_of(&self, structure: &str) -> Option<u32> {
        let mut found = self.named(structure, &[kind::STRUCT, kind::UNION]);
        found.next().map(|typ| typ.size_or_id)
    }

    /// Value of an enumerator. One of 64 bits that is above `i64::MAX` comes out negative; one of 32 bits that is negative
    /// comes out as the unsigned number where the kernel's types do not tell signs (before 6.0).
    #[must_use]
    pub fn enumerator(&self, enumeration: &str, name: &str) -> Option<i64> {
        self.named(enumeration, &[kind::ENUM, kind::ENUM64])
            .find_map(|typ| self.value(typ, name))
    }

    /// How many parameters a function has. `None` if the kernel's types do not know it, so that nothing can be attached
    /// to it, or know several functions of that name that differ in this.
    #[must_use]
    pub fn func_arity(&self, name: &str) -> Option<usize> {
        let arity = |typ: Type<'a>| {
            let proto = self.get(typ.size_or_id).ok()?;
            (proto.kind == kind::FUNC_PROTO).then_some(proto.len)
        };
        let mut all = self.named(name, &[kind::FUNC]).map(arity);
        let first = all.next()??;
        all.all(|other| other == Some(first)).then_some(first)
    }

    /// The number of a function among the types: the first, if there are several of that name.
    #[must_use]
    pub fn func_id(&self, name: &str) -> Option<u32> {
        self.ids(name)
            .find(|&id| self.get(id).is_ok_and(|typ| typ.kind == kind::FUNC))
    }

    fn value(&self, typ: Type<'a>, name: &str) -> Option<i64> {
        let is_it = |string: u32| self.string(string) == name.as_bytes();
        if typ.kind == kind::ENUM64 {
            let mut items = typ.items::<3>();
            return items.find_map(|[string, low, high]| {
                is_it(string).then_some((u64::from(high) << 32 | u64::from(low)) as i64)
            });
        }
        // kind_flag: the enumerators are signed.
        typ.items::<2>().find_map(|[string, value]| {
            let value = if typ.kind_flag {
                i64::from(value as i32)
            } else {
                i64::from(value)
            };
            is_it(string).then_some(value)
        })
    }

    /// Follows a dotted path from a struct.
    fn walk(
        &self,
        mut typ: Type<'a>,
        path: &str,
        budget: &mut u32,
    ) -> Result<Option<Found>, BtfError> {
        let mut bits = 0_u32;
        let mut names = path.split('.').peekable();
        while let Some(name) = names.next() {
            let Some(mut found) = self.find(typ, name, MAX_DEPTH, budget)? else {
                return Ok(None);
            };
            bits = add(bits, found.bit_offset)?;
            if names.peek().is_none() {
                found.bit_offset = bits;
                return Ok(Some(found));
            }
            typ = self.strip(found.type_id)?;
        }
        Ok(None)
    }

    /// Finds a member of a struct by its own name, also inside members that have none.
    fn find(
        &self,
        structure: Type<'a>,
        name: &str,
        depth: u32,
        budget: &mut u32,
    ) -> Result<Option<Found>, BtfError> {
        if !is_struct(&structure) {
            return Ok(None);
        }
        let depth = depth.checked_sub(1).ok_or(BtfError::Endless)?;
        for [string, type_id, offset] in structure.items() {
            *budget = budget.checked_sub(1).ok_or(BtfError::Endless)?;
            let found = self.found(structure.kind_flag, type_id, offset)?;
            let string = self.string(string);
            if string.is_empty() {
                let inner = self.strip(type_id)?;
                if let Some(inner) = self.find(inner, name, depth, budget)? {
                    let bit_offset = add(found.bit_offset, inner.bit_offset)?;
                    return Ok(Some(Found {
                        bit_offset,
                        ..inner
                    }));
                }
            } else if string == name.as_bytes() {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Reads the `offset` word of a member, which has two forms.
    fn found(&self, kind_flag: bool, type_id: u32, offset: u32) -> Result<Found, BtfError> {
        let plain = Found {
            bit_offset: offset,
            bit_width: None,
            type_id,
        };
        if kind_flag {
            let width = offset >> 24;
            return Ok(Found {
                bit_offset: offset & 0x00ff_ffff,
                bit_width: (width > 0).then_some(width),
                ..plain
            });
        }
        // Without the flag a bit-field is a member whose integer type is narrower than its storage.
        let typ = self.strip(type_id)?;
        let (width, shift) = (typ.word(0) & 0xff, typ.word(0) >> 16 & 0xff);
        if typ.kind != kind::INT || Some(width) == typ.size_or_id.checked_mul(8) {
            return Ok(plain);
        }
        Ok(Found {
            bit_offset: add(offset, shift)?,
            bit_width: Some(width),
            type_id,
        })
    }

    fn member_of(&self, found: Found) -> Result<Member, BtfError> {
        Ok(Member {
            bit_offset: found.bit_offset,
            bit_width: found.bit_width,
            size: self.size(found.type_id, MAX_DEPTH)?,
        })
    }

    /// Size of any type in bytes; `None` for one without a size (a function, `void`).
    fn size(&self, id: u32, depth: u32) -> Result<Option<u32>, BtfError> {
        let depth = depth.checked_sub(1).ok_or(BtfError::Endless)?;
        let typ = self.strip(id)?;
        Ok(match typ.kind {
            kind::INT | kind::STRUCT | kind::UNION | kind::ENUM | kind::ENUM64 | kind::FLOAT => {
                Some(typ.size_or_id)
            }
            // Pointers of the 64-bit kernels that portwatch runs on.
            kind::PTR => Some(8),
            kind::ARRAY => {
                let (element, count) = (typ.word(0), typ.word(2));
                self.size(element, depth)?
                    .and_then(|size| size.checked_mul(count))
            }
            _ => None,
        })
    }

    /// Looks through typedefs and qualifiers.
    fn strip(&self, mut id: u32) -> Result<Type<'a>, BtfError> {
        for _ in 0..MAX_DEPTH {
            let typ = self.get(id)?;
            match typ.kind {
                kind::TYPEDEF | kind::CONST | kind::VOLATILE | kind::RESTRICT | kind::TYPE_TAG => {
                    id = typ.size_or_id;
                }
                _ => return Ok(typ),
            }
        }
        Err(BtfError::Endless)
    }
}

fn is_struct(typ: &Type<'_>) -> bool {
    matches!(typ.kind, kind::STRUCT | kind::UNION)
}

fn add(left: u32, right: u32) -> Result<u32, BtfError> {
    left.checked_add(right).ok_or(BtfError::Endless)
}
