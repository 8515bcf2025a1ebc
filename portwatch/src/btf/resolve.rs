//! From a kernel's types to the offsets that the eBPF object is given.

use std::fmt;

use portwatch_common::offsets::{ABSENT, FIELDS, Field, Offsets, Query};
use thiserror::Error;

use super::{Btf, BtfError};

/// The kernel's types do not tell what portwatch has to know.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the types of this kernel do not fit portwatch: {}", join(.problems))]
pub struct ResolveError {
    /// Everything that is missing or unusable, not just the first.
    pub problems: Vec<Problem>,
}

/// One question without a usable answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What was asked.
    pub query: Query,
    /// What is wrong.
    pub reason: Reason,
}

/// What is wrong with an answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Reason {
    /// Nothing can be traced without it.
    #[error("does not exist")]
    Missing,
    /// A bit-field where a whole member was expected.
    #[error("is a bit-field")]
    BitField,
    /// Bits that are not within one byte.
    #[error("does not lie within one byte")]
    CrossesByte,
    /// Larger than the place it is passed in.
    #[error("is too large: {0}")]
    TooLarge(i64),
    /// The types are damaged.
    #[error(transparent)]
    Btf(#[from] BtfError),
}

/// Answers every question of [`FIELDS`]; [`ABSENT`] where an optional one has no answer.
///
/// # Errors
/// If a required member does not exist or one is not what it should be. All of them are named.
pub fn resolve(btf: &Btf<'_>) -> Result<Offsets, ResolveError> {
    let mut values = [ABSENT; FIELDS.len()];
    let mut problems = Vec::new();
    for (value, field) in values.iter_mut().zip(FIELDS) {
        match answer(btf, field) {
            Ok(known) => *value = known,
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        Ok(zerocopy::transmute!(values))
    } else {
        Err(ResolveError { problems })
    }
}

fn answer(btf: &Btf<'_>, field: &Field) -> Result<u32, Problem> {
    for query in [Some(field.query), field.otherwise].into_iter().flatten() {
        match ask(btf, query) {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => {}
            Err(reason) => return Err(Problem { query, reason }),
        }
    }
    if field.required {
        let reason = Reason::Missing;
        return Err(Problem {
            query: field.query,
            reason,
        });
    }
    Ok(ABSENT)
}

fn ask(btf: &Btf<'_>, query: Query) -> Result<Option<u32>, Reason> {
    let value = match query {
        Query::Member(structure, path) => match btf.member(structure, path)? {
            Some(member) if member.bit_width.is_some() || member.bit_offset % 8 != 0 => {
                return Err(Reason::BitField);
            }
            member => member.map(|member| member.bit_offset / 8),
        },
        Query::Bits(structure, path) => match btf.member(structure, path)? {
            Some(member) => {
                let width = member
                    .bit_width
                    .or_else(|| member.size?.checked_mul(8))
                    .ok_or(Reason::CrossesByte)?;
                Some(bits(member.bit_offset, width)?)
            }
            None => None,
        },
        Query::Size(structure) => btf.size_of(structure),
        Query::Function(name) => match btf.func_arity(name) {
            Some(arity) => Some(u32::try_from(arity).map_err(|_| Reason::TooLarge(i64::MAX))?),
            None => None,
        },
        Query::Enumerator(enumeration, name) => match btf.enumerator(enumeration, name) {
            Some(value) => Some(u32::try_from(value).map_err(|_| Reason::TooLarge(value))?),
            None => None,
        },
    };
    match value {
        Some(ABSENT) => Err(Reason::TooLarge(ABSENT.into())),
        value => Ok(value),
    }
}

/// `byte | shift << 16 | width << 24`. Little-endian bit-fields are numbered from the lowest bit of their storage unit,
/// so that the containing byte is the bit's number divided by eight, however wide the unit is.
fn bits(offset: u32, width: u32) -> Result<u32, Reason> {
    let (byte, shift) = (offset / 8, offset % 8);
    if width == 0 || width > 8 || shift + width > 8 {
        return Err(Reason::CrossesByte);
    }
    if byte > u16::MAX.into() {
        return Err(Reason::TooLarge(byte.into()));
    }
    Ok(byte | shift << 16 | width << 24)
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.query {
            Query::Member(structure, path) | Query::Bits(structure, path) => {
                write!(f, "{structure}.{path} {}", self.reason)
            }
            Query::Size(structure) => write!(f, "struct {structure} {}", self.reason),
            Query::Function(name) => write!(f, "function {name}() {}", self.reason),
            Query::Enumerator(enumeration, name) => {
                write!(f, "{name} of enum {enumeration} {}", self.reason)
            }
        }
    }
}

fn join(problems: &[Problem]) -> String {
    let all: Vec<String> = problems.iter().map(Problem::to_string).collect();
    all.join(", ")
}
