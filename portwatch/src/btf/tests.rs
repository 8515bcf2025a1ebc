use portwatch_common::offsets::{ABSENT, FIELDS, Query};
use proptest::prelude::*;

use super::builder::{Builder, FLAG};
use super::parse::kind;
use super::{Btf, BtfError, Member, Reason, resolve};

fn member(builder: &Builder, structure: &str, path: &str) -> Option<Member> {
    let bytes = builder.bytes();
    let btf = Btf::parse(&bytes).unwrap();
    btf.member(structure, path).unwrap()
}

fn bit_offset(builder: &Builder, structure: &str, path: &str) -> Option<u32> {
    member(builder, structure, path).map(|member| member.bit_offset)
}

/// The `offset` word of a bit-field.
fn bit_field(width: u32, at: u32) -> u32 {
    width << 24 | at
}

/// Everything that can be asked, for the tests that only want no panic.
fn ask_everything(bytes: &[u8]) {
    if let Ok(btf) = Btf::parse(bytes) {
        let _ = resolve(&btf);
        let _ = btf.func_arity("f");
        let _ = btf.enumerator("e", "A");
        for structure in ["s", "u", "sock", "task_struct"] {
            let _ = (btf.member(structure, "a.b"), btf.size_of(structure));
        }
    }
}

#[test]
fn a_header_that_is_not_ours_is_refused_with_its_reason() {
    let good = Builder::new().bytes();
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        Btf::parse(&bytes).unwrap_err()
    };
    assert!(Btf::parse(&good).is_ok());
    assert_eq!(Btf::parse(&[]).unwrap_err(), BtfError::TooShort(0));
    assert_eq!(
        Btf::parse(b"\x7fELF and so on and so forth").unwrap_err(),
        BtfError::Magic(0x457f)
    );
    let big = [&[0xeb, 0x9f][..], &good[2..]].concat();
    assert_eq!(Btf::parse(&big).unwrap_err(), BtfError::BigEndian);
    assert_eq!(with(2, 2), BtfError::Version(2));
    for (at, section) in [(4, "header"), (12, "type"), (20, "string")] {
        let error = with(at, 200);
        assert_eq!(error, BtfError::Section { section, len: 25 }, "{error}");
    }
    assert!(matches!(
        with(4, 8),
        BtfError::Section {
            section: "header",
            ..
        }
    ));
}

#[test]
fn a_type_that_is_cut_off_or_unknown_is_refused() {
    let mut builder = Builder::new();
    builder.int(4);
    builder.add("s", (kind::STRUCT << 24) + 1000, 4, &[]);
    assert_eq!(
        Btf::parse(&builder.bytes()).unwrap_err(),
        BtfError::CutOff { id: 2 }
    );
    let mut builder = Builder::new();
    builder.add("new", 99 << 24, 4, &[]);
    let error = Btf::parse(&builder.bytes()).unwrap_err();
    assert_eq!(error, BtfError::Kind { id: 1, kind: 99 });
}

#[test]
fn an_unknown_kind_is_skipped_where_the_layout_section_tells_its_length() {
    let mut builder = Builder::new();
    builder.add("new", 21 << 24 | 2, 0, &[1, 2, 3, 4, 5]);
    let int = builder.int(4);
    builder.structure("s", 8, &[("a", int, 0), ("b", int, 32)]);
    for _ in 0..=20 {
        builder.layout(0, 0);
    }
    builder.layout(4, 8);
    assert_eq!(bit_offset(&builder, "s", "b"), Some(32));
}

#[test]
fn members_are_found_through_names_typedefs_and_anonymous_structs() {
    let mut builder = Builder::new();
    let int = builder.int(4);
    let inner = builder.structure("inner", 8, &[("x", int, 0), ("y", int, 32)]);
    let alias = builder.of(kind::TYPEDEF, "inner_t", inner);
    let alias = builder.of(kind::CONST, "", alias);
    let alias = builder.of(kind::VOLATILE, "", alias);
    let anonymous = builder.structure("", 8, &[("deep", alias, 0)]);
    let union = builder.compound(
        "",
        kind::UNION << 24,
        8,
        &[("other", int, 0), ("", anonymous, 0)],
    );
    let pointer = builder.of(kind::PTR, "", inner);
    builder.structure(
        "s",
        28,
        &[("a", int, 0), ("", union, 64), ("p", pointer, 128)],
    );
    assert_eq!(bit_offset(&builder, "s", "a"), Some(0));
    assert_eq!(bit_offset(&builder, "s", "other"), Some(64));
    assert_eq!(bit_offset(&builder, "s", "deep.y"), Some(96));
    assert_eq!(member(&builder, "s", "p").unwrap().size, Some(8));
    assert_eq!(member(&builder, "s", "deep").unwrap().size, Some(8));
    for absent in ["b", "a.x", "p.x", "deep.z", "deep.y.z", "", ".", "deep."] {
        assert_eq!(bit_offset(&builder, "s", absent), None, "{absent}");
    }
    assert_eq!(bit_offset(&builder, "t", "a"), None);
}

#[test]
fn of_several_structs_of_one_name_the_one_with_the_member_counts() {
    let mut builder = Builder::new();
    let int = builder.int(4);
    builder.add("mount", kind::FWD << 24, 0, &[]);
    builder.structure("mount", 4, &[("flags", int, 0)]);
    builder.structure("mount", 12, &[("flags", int, 32), ("mnt", int, 64)]);
    assert_eq!(bit_offset(&builder, "mount", "mnt"), Some(64));
    assert_eq!(bit_offset(&builder, "mount", "flags"), Some(0));
}

#[test]
fn bit_fields_have_their_width_in_both_encodings() {
    let mut builder = Builder::new();
    let int = builder.int(4);
    let narrow = builder.add("unsigned int", kind::INT << 24, 4, &[2 << 16 | 3]);
    builder.compound(
        "new",
        kind::STRUCT << 24 | FLAG,
        8,
        &[("whole", int, 0), ("field", int, bit_field(5, 35))],
    );
    builder.structure("old", 8, &[("whole", int, 0), ("field", narrow, 32)]);
    let of = |name, path| member(&builder, name, path).unwrap();
    assert_eq!(of("new", "whole").bit_width, None);
    assert_eq!(
        (of("new", "field").bit_offset, of("new", "field").bit_width),
        (35, Some(5))
    );
    assert_eq!(of("old", "whole").bit_width, None);
    assert_eq!(
        (of("old", "field").bit_offset, of("old", "field").bit_width),
        (34, Some(3))
    );
}

#[test]
fn sizes_enumerators_and_arities() {
    let mut builder = Builder::new();
    let int = builder.int(4);
    builder.structure("s", 4096, &[]);
    let (a, b) = (builder.string("A"), builder.string("B"));
    builder.add(
        "signed",
        kind::ENUM << 24 | FLAG | 2,
        4,
        &[a, 1, b, -2_i32 as u32],
    );
    builder.add("unsigned", kind::ENUM << 24 | 1, 4, &[b, u32::MAX]);
    builder.add("wide", kind::ENUM64 << 24 | 1, 8, &[a, 7, 1]);
    let two = builder.add("", kind::FUNC_PROTO << 24 | 2, int, &[0, int, 0, int]);
    let one = builder.add("", kind::FUNC_PROTO << 24 | 1, int, &[0, int]);
    builder.of(kind::FUNC, "f", two);
    builder.of(kind::FUNC, "f", two);
    builder.of(kind::FUNC, "g", two);
    builder.of(kind::FUNC, "g", one);
    builder.of(kind::FUNC, "broken", int);
    let bytes = builder.bytes();
    let btf = Btf::parse(&bytes).unwrap();
    assert_eq!(
        (btf.size_of("s"), btf.size_of("signed")),
        (Some(4096), None)
    );
    assert_eq!(btf.enumerator("signed", "A"), Some(1));
    assert_eq!(btf.enumerator("signed", "B"), Some(-2));
    assert_eq!(btf.enumerator("unsigned", "B"), Some(u32::MAX.into()));
    assert_eq!(btf.enumerator("wide", "A"), Some(1 << 32 | 7));
    assert_eq!(btf.enumerator("wide", "B"), None);
    assert_eq!(btf.func_arity("f"), Some(2));
    assert_eq!(btf.func_arity("g"), None, "two functions of one name");
    assert_eq!(
        (btf.func_arity("broken"), btf.func_arity("h")),
        (None, None)
    );
}

#[test]
fn endless_types_are_an_error() {
    let mut builder = Builder::new();
    // Type 1 contains itself, type 2 names itself.
    builder.structure("s", 4, &[("", 1, 0)]);
    builder.of(kind::TYPEDEF, "t", 2);
    builder.structure("u", 4, &[("a", 2, 0)]);
    builder.structure("far", 4, &[("a", 4, u32::MAX), ("b", 77, 0)]);
    let bytes = builder.bytes();
    let btf = Btf::parse(&bytes).unwrap();
    assert_eq!(btf.member("s", "a").unwrap_err(), BtfError::Endless);
    assert_eq!(btf.member("u", "a").unwrap_err(), BtfError::Endless);
    assert_eq!(btf.member("far", "a.a").unwrap_err(), BtfError::Endless);
    assert_eq!(
        btf.member("far", "b").unwrap_err(),
        BtfError::NoType { id: 77 }
    );
}

#[test]
fn a_search_through_a_wide_nest_ends() {
    let mut builder = Builder::new();
    let mut inner = builder.int(4);
    for _ in 0..30 {
        inner = builder.structure("s", 4, &[("", inner, 0), ("", inner, 0), ("", inner, 0)]);
    }
    let bytes = builder.bytes();
    let btf = Btf::parse(&bytes).unwrap();
    assert_eq!(btf.member("s", "a").unwrap_err(), BtfError::Endless);
}

/// A kernel with every member that is asked for, in the simplest form.
fn kernel(skip: &str, bits: Option<(&str, u32)>) -> Builder {
    let mut builder = Builder::new();
    let byte = builder.int(1);
    let mut structs: Vec<(&str, Vec<&str>)> = Vec::new();
    for field in FIELDS.iter().filter(|field| field.name != skip) {
        let (name, path) = match field.query {
            Query::Member(name, path) | Query::Bits(name, path) => (name, Some(path)),
            Query::Size(name) => (name, None),
            Query::Enumerator(..) | Query::Function(_) => continue,
        };
        match structs.iter_mut().find(|(known, _)| *known == name) {
            Some((_, paths)) => paths.extend(path),
            None => structs.push((name, path.into_iter().collect())),
        }
    }
    for (name, paths) in structs {
        let mut members = members(&mut builder, byte, &paths);
        if let Some((path, word)) = bits {
            for member in members.iter_mut().filter(|member| member.0 == path) {
                member.2 = word;
            }
        }
        builder.compound(name, kind::STRUCT << 24 | FLAG, 4096, &members);
    }
    builder
}

/// Members for the paths, eight bytes apart, with the structs that they lead through.
fn members<'a>(builder: &mut Builder, byte: u32, paths: &[&'a str]) -> Vec<(&'a str, u32, u32)> {
    let head = |path: &&'a str| path.split('.').next().unwrap();
    let mut heads: Vec<_> = paths.iter().map(head).collect();
    heads.dedup();
    let member = |(index, name): (usize, &'a str)| {
        let inside = paths.iter().filter(|path| head(path) == name);
        let inside: Vec<_> = inside.filter_map(|path| path.split_once('.')).collect();
        let inside: Vec<_> = inside.into_iter().map(|(_, rest)| rest).collect();
        let mut id = byte;
        if !inside.is_empty() {
            let inner = members(builder, byte, &inside);
            id = builder.structure("", 4096, &inner);
        }
        (name, id, index as u32 * 64)
    };
    heads.into_iter().enumerate().map(member).collect()
}

/// One of the required bit questions.
const BITS: &str = "sk_userlocks";

fn resolved_bits(word: u32) -> Result<u32, Vec<String>> {
    let bytes = kernel("", Some((BITS, word))).bytes();
    match resolve(&Btf::parse(&bytes).unwrap()) {
        Ok(offsets) => Ok(offsets.sk_userlocks),
        Err(error) => Err(error.problems.iter().map(ToString::to_string).collect()),
    }
}

#[test]
fn bits_are_given_within_their_byte() {
    let within = |byte: u32, shift: u32, width: u32| Ok(byte | shift << 16 | width << 24);
    assert_eq!(resolved_bits(243 * 8), within(243, 0, 8), "a whole byte");
    assert_eq!(resolved_bits(bit_field(4, 536 * 8 + 4)), within(536, 4, 4));
    // The third byte of a wider storage unit.
    assert_eq!(resolved_bits(bit_field(1, 17)), within(2, 1, 1));
    let refused = Err(vec![
        "sock.sk_userlocks does not lie within one byte".to_owned(),
    ]);
    assert_eq!(resolved_bits(bit_field(4, 6)), refused);
    assert_eq!(resolved_bits(bit_field(9, 8)), refused);
    let refused = Err(vec!["sock.sk_userlocks is too large: 70000".to_owned()]);
    assert_eq!(resolved_bits(70_000 * 8), refused);
}

#[test]
fn everything_that_is_missing_is_named() {
    let bytes = kernel("", None).bytes();
    let offsets = resolve(&Btf::parse(&bytes).unwrap()).unwrap();
    assert_eq!(offsets.op_bind, ABSENT, "an optional one without an answer");
    assert_eq!(offsets.skc_state, 8, "the second member");

    let bytes = kernel("sk_socket", None).bytes();
    let error = resolve(&Btf::parse(&bytes).unwrap()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the types of this kernel do not fit portwatch: sock.sk_socket does not exist"
    );

    let bytes = Builder::new().bytes();
    let error = resolve(&Btf::parse(&bytes).unwrap()).unwrap_err();
    let required = FIELDS.iter().filter(|field| field.required).count();
    assert_eq!(error.problems.len(), required);
    assert!(
        error
            .problems
            .iter()
            .all(|problem| problem.reason == Reason::Missing)
    );
}

#[test]
fn a_bit_field_is_no_answer_to_a_question_for_an_offset() {
    let bytes = kernel("", Some(("sk_protocol", bit_field(4, 8)))).bytes();
    let error = resolve(&Btf::parse(&bytes).unwrap()).unwrap_err();
    assert_eq!(error.problems[0].reason, Reason::BitField);
    assert_eq!(error.problems.len(), 1);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        ask_everything(&bytes);
    }

    #[test]
    fn arbitrary_types_never_panic(words: Vec<u32>, name in 0_u32..40) {
        let mut builder = Builder::new();
        builder.string("s");
        builder.string("a");
        builder.string("sock");
        for chunk in words.chunks(4) {
            let info = chunk[0] & 0x9f00_0007;
            builder.add(["s", "", "sock", "f", "e"][name as usize % 5], info, chunk.len() as u32, chunk);
        }
        ask_everything(&builder.bytes());
    }

    #[test]
    fn damaged_btf_never_panics(at in 0_usize..10_000, byte: u8, cut in 0_usize..10_000) {
        let mut bytes = kernel("", None).bytes();
        let len = bytes.len();
        bytes[at % len] = byte;
        ask_everything(&bytes);
        bytes.truncate(cut % len);
        ask_everything(&bytes);
    }
}
