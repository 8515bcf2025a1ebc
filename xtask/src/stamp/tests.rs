use super::*;

#[test]
fn the_committed_object_is_made_of_the_sources_that_are_here() {
    if let Err(error) = Stamp::read_current(&crate::shell::root()) {
        panic!("{error:#}");
    }
}

fn stamp(sources: &[(&str, &str)]) -> Stamp {
    let owned = |&(name, digest): &(&str, &str)| (name.to_owned(), digest.to_owned());
    Stamp {
        sources: sources.iter().map(owned).collect(),
        ..Stamp::default()
    }
}

#[test]
fn a_stamp_is_read_as_it_was_written() {
    let versions = vec![
        "rustc 1.96.0 (a b)".to_owned(),
        "bpf-linker 0.13.0".to_owned(),
    ];
    let written = stamp(&[("a/b c.rs", "12ab"), ("Cargo.toml profile.release", "34cd")])
        .with_object(b"object", versions);
    assert_eq!(Stamp::parse(&written.to_string()).unwrap(), written);
    assert!(Stamp::parse("nonsense").is_err());
}

#[test]
fn every_change_is_named() {
    let old = stamp(&[("same", "1"), ("other", "2"), ("gone", "3")]);
    let now = stamp(&[("same", "1"), ("other", "4"), ("more", "5")]);
    let expected = ["gone is gone", "more is new", "other changed"];
    assert_eq!(old.differences(&now), expected);
    assert!(old.differences(&old).is_empty());
}

#[test]
fn packages_that_reach_the_object_count_and_others_do_not() {
    let lock: Table = r#"
        [[package]]
        name = "portwatch-ebpf"
        version = "0.1.0"
        dependencies = ["aya-ebpf", "syn 2.0.0", "portwatch-common"]
        [[package]]
        name = "portwatch-common"
        version = "0.1.0"
        dependencies = ["zerocopy"]
        [[package]]
        name = "aya-ebpf"
        version = "0.2.1"
        checksum = "a1"
        dependencies = ["aya-build"]
        [[package]]
        name = "aya-build"
        version = "0.2.0"
        checksum = "b1"
        dependencies = ["libc"]
        [[package]]
        name = "libc"
        version = "0.2.0"
        checksum = "c1"
        [[package]]
        name = "syn"
        version = "2.0.0"
        checksum = "s2"
        [[package]]
        name = "syn"
        version = "3.0.0"
        checksum = "s3"
        [[package]]
        name = "zerocopy"
        version = "0.8.0"
        checksum = "z1"
    "#
    .parse()
    .unwrap();
    let expected = [
        ("aya-ebpf 0.2.1", "a1"),
        ("syn 2.0.0", "s2"),
        ("zerocopy 0.8.0", "z1"),
    ];
    assert_eq!(packages(&lock).unwrap(), stamp(&expected).sources);
}

#[test]
fn of_the_manifest_only_what_reaches_the_object_counts() {
    let packages = stamp(&[("zerocopy 0.8.0", "z1")]).sources;
    let settings_of = |text: &str| settings(&text.parse().unwrap(), &packages);
    let manifest = r#"
        [workspace.package]
        version = "0.1.0"
        [workspace.dependencies]
        zerocopy = { version = "0.8", features = ["derive"] }
        clap = "4"
        [profile.release]
        debug = 1
    "#;
    let now = settings_of(manifest);
    assert_eq!(now.len(), 3);
    assert_eq!(now, settings_of(&manifest.replace("clap = \"4\"", "")));
    for (from, to) in [
        ("\"0.1.0\"", "\"0.2.0\""),
        ("derive", "std"),
        ("debug = 1", "debug = 2"),
    ] {
        assert_ne!(now, settings_of(&manifest.replace(from, to)), "{from}");
    }
}
