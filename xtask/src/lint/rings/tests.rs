use super::*;
use crate::sources::tests::made_up;

const MEMBERS: &[&str] = &["abi", "core", "report", "tracer"];

const PURE: Ring = Ring {
    package: "core",
    members: &["abi"],
    others: Others::Only(&["lru", "hashbrown"]),
};

const SHELL: Ring = Ring {
    package: "tracer",
    members: &["abi", "core"],
    others: Others::Without(&["openssl"]),
};

fn faults(ring: &Ring, tree: &str) -> Vec<String> {
    excess(ring, MEMBERS, tree).unwrap()
}

#[test]
fn what_is_allowed_is_no_fault() {
    let tree = "0core v0.1.0 (/here/core)\n1abi v0.1.0 (/here/abi)\n1lru v0.19.1\n2hashbrown v0.17.2\n\
                1hashbrown v0.17.2 (*)\n";
    assert!(faults(&PURE, tree).is_empty());
}

#[test]
fn a_dependency_of_a_dependency_counts_and_its_way_is_shown() {
    let tree =
        "0core v0.1.0 (/here/core)\n1lru v0.19.1\n2hashbrown v0.17.2\n3libc v0.2.1\n1libc v0.2.1\n";
    assert_eq!(
        faults(&PURE, tree),
        ["core must not depend on libc: core -> lru -> hashbrown -> libc"]
    );
}

#[test]
fn the_way_is_right_after_a_branch() {
    let tree = "0core v0.1.0\n1lru v0.19.1\n2hashbrown v0.17.2\n1tokio v1.0.0\n";
    assert_eq!(
        faults(&PURE, tree),
        ["core must not depend on tokio: core -> tokio"]
    );
}

#[test]
fn members_must_be_named_even_where_all_others_are_allowed() {
    let tree = "0tracer v0.1.0\n1anyhow v1.0.0\n1core v0.1.0\n1report v0.1.0\n2openssl v0.10.0\n";
    assert_eq!(
        faults(&SHELL, tree),
        [
            "tracer must not depend on report: tracer -> report",
            "tracer must not depend on openssl: tracer -> report -> openssl",
        ]
    );
}

#[test]
fn a_tree_of_something_else_proves_nothing() {
    assert!(excess(&PURE, MEMBERS, "").is_err());
    assert!(excess(&PURE, MEMBERS, "0abi v0.1.0\n").is_err());
    assert!(excess(&PURE, MEMBERS, "core v0.1.0\n").is_err());
}

#[test]
fn every_ring_names_what_lies_inside_of_it() {
    let mut inside = BTreeSet::new();
    for ring in RINGS {
        for member in ring.members {
            assert!(
                inside.contains(member),
                "{member} is not inside of {}",
                ring.package
            );
        }
        inside.insert(ring.package);
    }
}

fn std_of(files: &[(&str, &str)]) -> Vec<String> {
    std_in(&made_up(files).unwrap(), Path::new("/here"))
}

#[test]
fn the_core_takes_std_for_tests_alone() {
    let lib = "#![no_std]\nextern crate alloc;\n#[cfg(test)]\nextern crate std;\nmod a;\n#[cfg(test)]\nmod tests;\n";
    assert!(std_of(&[("/here/lib.rs", lib), ("/here/a.rs", "use core::fmt;")]).is_empty());
    assert_eq!(
        std_of(&[
            ("/here/lib.rs", lib),
            ("/here/a.rs", "extern crate std as s;")
        ]),
        ["a.rs says `extern crate std`, and not for tests"]
    );
}

#[test]
fn the_core_says_that_it_has_no_std_and_means_it() {
    let expected = ["lib.rs does not say #![no_std]"];
    assert_eq!(std_of(&[("/here/lib.rs", "")]), expected);
    let sometimes = "#![cfg_attr(not(feature = \"std\"), no_std)]";
    assert_eq!(std_of(&[("/here/lib.rs", sometimes)]), expected);
}
