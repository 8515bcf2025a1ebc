//! The types of real kernels: the one that runs here, and Debian's, which `cargo xtask kernels` fetches.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says why it was skipped"
)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use portwatch::btf::{Btf, resolve};
use portwatch_common::offsets::{ABSENT, Offsets};
use proptest::prelude::*;
use rstest::rstest;

/// Where a kernel's types are. `running` is the kernel under this test.
fn file(kernel: &str) -> PathBuf {
    if kernel == "running" {
        return PathBuf::from("/sys/kernel/btf/vmlinux");
    }
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.filter(|cache| cache.is_absolute());
    let cache = cache.or_else(|| Some(env::home_dir()?.join(".cache")));
    let kernels = cache.unwrap().join("portwatch/kernels");
    kernels.join(kernel).join("btf")
}

/// A kernel's types. Where they are not available the test is skipped, and says so; in CI they have to be there.
fn types(kernel: &str) -> Option<Vec<u8>> {
    let file = file(kernel);
    match fs::read(&file) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            let reason = format!("cannot read {}: {error}", file.display());
            assert!(env::var_os("CI").is_none(), "cannot run in CI: {reason}");
            eprintln!("skipped: {reason}; run `cargo xtask kernels`");
            None
        }
    }
}

fn offsets(kernel: &str) -> Option<Offsets> {
    let bytes = types(kernel)?;
    Some(resolve(&Btf::parse(&bytes).unwrap()).unwrap_or_else(|error| panic!("{kernel}: {error}")))
}

/// `Query::Bits` as `byte, shift, width`.
fn bits(value: u32) -> (u32, u32, u32) {
    (value & 0xffff, value >> 16 & 0xff, value >> 24)
}

const fn has(offset: u32) -> bool {
    offset != ABSENT
}

#[rstest]
fn what_has_never_moved_is_where_it_has_always_been(
    #[values("running", "5.10", "6.1", "6.12", "newest")] kernel: &str,
) {
    let Some(known) = offsets(kernel) else { return };
    // struct sock_common has been the same from 5.10 on.
    let sock_common = [
        (known.skc_daddr, 0),
        (known.skc_rcv_saddr, 4),
        (known.skc_hash, 8),
        (known.skc_u16hashes, 8),
        (known.skc_dport, 12),
        (known.skc_num, 14),
        (known.skc_family, 16),
        (known.skc_state, 18),
        (known.skc_bound_dev_if, 20),
        (known.skc_bind_node, 24),
        (known.skc_prot, 40),
    ];
    for (index, (offset, expected)) in sock_common.into_iter().enumerate() {
        assert_eq!(offset, expected, "member {index} of sock_common");
    }
    assert_eq!(bits(known.skc_reuse), (19, 0, 4));
    assert_eq!(bits(known.skc_reuseport), (19, 4, 1));
    assert_eq!(bits(known.skc_ipv6only), (19, 5, 1));
    assert_eq!((known.tb_net, known.tb_port), (0, 12));
    assert_eq!((known.tb_fastreuse, known.tb_fastreuseport), (14, 15));
    assert_eq!((known.udp_hash, known.alloc_socket), (0, 0));
}

#[rstest]
fn a_layout_is_whole(#[values("running", "5.10", "6.1", "6.12", "newest")] kernel: &str) {
    let Some(known) = offsets(kernel) else { return };
    assert_ne!(
        has(known.tb_owners),
        has(known.tb_bhash2),
        "a bucket has its sockets, or buckets of an address each"
    );
    if has(known.tb_bhash2) {
        assert!(has(known.tb2_bhash_node) && has(known.tb2_owners));
    }
    let (_, shift, width) = bits(known.sk_userlocks);
    assert!(
        matches!((shift, width), (4, 4) | (0, 8)),
        "sk_userlocks: {shift}, {width}"
    );
    assert!(has(known.net_udp_table) || has(known.prot_udp_table));
    assert_eq!(has(known.op_bind), has(known.op_listen));
    assert!(has(known.net_port_range) && matches!(known.local_ports_size, 8 | 20));
    for group in [
        known.task_cgroups,
        known.cset_dfl_cgrp,
        known.cgroup_kn,
        known.kn_name,
    ] {
        assert!(has(group));
    }
    assert!(has(known.kn_parent), "under one of its two names");
}

/// What tells one kernel's layout from another's.
fn layout(known: &Offsets) -> Vec<&'static str> {
    let all = [
        ("owners of a bucket", has(known.tb_owners)),
        ("owners of an address", has(known.tb2_owners)),
        ("userlocks in bits", bits(known.sk_userlocks).2 == 4),
        ("sk_ino", has(known.sk_ino)),
        ("tw_connect_bind", has(known.tw_connect_bind)),
        ("packed port range", known.local_ports_size == 8),
        ("UDP table of a namespace", has(known.net_udp_table)),
        ("io_uring binds", has(known.op_bind)),
    ];
    all.into_iter()
        .filter_map(|(name, is_so)| is_so.then_some(name))
        .collect()
}

#[rstest]
#[case::bullseye("5.10", &["owners of a bucket", "userlocks in bits"])]
#[case::bookworm("6.1", &["owners of a bucket", "owners of an address", "userlocks in bits"])]
#[case::trixie("6.12", &[
    "owners of an address",
    "packed port range",
    "UDP table of a namespace",
    "io_uring binds",
])]
#[case::sid("newest", &[
    "owners of an address",
    "sk_ino",
    "tw_connect_bind",
    "packed port range",
    "UDP table of a namespace",
    "io_uring binds",
])]
fn each_kernel_of_debian_has_its_layout(#[case] kernel: &str, #[case] expected: &[&str]) {
    let Some(known) = offsets(kernel) else { return };
    assert_eq!(layout(&known), expected);
}

#[rstest]
#[case("5.10", 2)]
#[case("6.1", 1)]
#[case("6.12", 1)]
fn functions_are_known_with_their_parameters(#[case] kernel: &str, #[case] listen_start: usize) {
    let Some(bytes) = types(kernel) else { return };
    let btf = Btf::parse(&bytes).unwrap();
    assert_eq!(btf.func_arity("inet_csk_get_port"), Some(2));
    assert_eq!(btf.func_arity("inet_bind"), Some(3));
    assert_eq!(btf.func_arity("inet_csk_listen_start"), Some(listen_start));
    assert_eq!(btf.func_arity("inet_bind_sk").is_some(), kernel == "6.12");
    assert_eq!(btf.func_arity("a_function_that_does_not_exist"), None);
}

/// Structs by name: size, and the members of the first level by name with their bit offset.
type Structs = HashMap<String, (u32, Vec<(String, u32)>)>;

/// What bpftool reads in the same bytes; names that occur more than once are left out.
fn read_by_bpftool(file: &Path) -> Option<Structs> {
    let mut bpftool = Command::new("bpftool");
    let output = bpftool.args(["btf", "dump", "file"]).arg(file).output();
    let output = output.ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).unwrap();
    let number = |line: &str, field: &str| -> u32 {
        let value = line.split(&format!(" {field}=")).nth(1).unwrap();
        value.split(' ').next().unwrap().parse().unwrap()
    };
    let name = |line: &str| line.split('\'').nth(1).unwrap().to_owned();
    let (mut structs, mut seen) = (Structs::new(), HashMap::<String, u32>::new());
    let mut current = None;
    for line in text.lines() {
        if line.starts_with('[') {
            current = None;
            if line.contains("] STRUCT '") || line.contains("] UNION '") {
                let name = name(line);
                *seen.entry(name.clone()).or_default() += 1;
                structs.insert(name.clone(), (number(line, "size"), Vec::new()));
                current = Some(name);
            }
        } else if let Some(current) = &current {
            let member = (name(line), number(line, "bits_offset"));
            structs.get_mut(current).unwrap().1.push(member);
        }
    }
    structs.retain(|name, _| seen[name] == 1 && name != "(anon)");
    Some(structs)
}

#[rstest]
fn bpftool_reads_the_same(#[values("running", "5.10", "newest")] kernel: &str) {
    let Some(bytes) = types(kernel) else { return };
    let btf = Btf::parse(&bytes).unwrap();
    let Some(structs) = read_by_bpftool(&file(kernel)) else {
        eprintln!("skipped: bpftool is not installed");
        return;
    };
    assert!(structs.len() > 5_000);
    for (name, (size, members)) in structs {
        assert_eq!(btf.size_of(&name), Some(size), "struct {name}");
        for (member, offset) in members.iter().filter(|(member, _)| member != "(anon)") {
            let found = btf.member(&name, member).unwrap();
            assert_eq!(
                found.map(|found| found.bit_offset),
                Some(*offset),
                "{name}.{member}"
            );
        }
    }
}

proptest! {
    // A kernel's types are megabytes.
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn damaged_types_never_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..50),
        cut in any::<prop::sample::Index>(),
    ) {
        let Some(mut bytes) = types("running") else { return Ok(()) };
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        for len in [bytes.len(), cut.index(bytes.len())] {
            if let Ok(btf) = Btf::parse(&bytes[..len]) {
                let _ = resolve(&btf);
            }
        }
    }
}
