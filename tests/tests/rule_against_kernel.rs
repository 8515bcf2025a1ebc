//! The rule says of generated pairs of sockets what the kernel does with them.

use portwatch_tests::{
    harness::can,
    rule::{is_possible, run},
};

/// The whole core, and as many random ones and more. All of it takes some seconds.
const PAIRS: usize = 36_000;
const SEED: u64 = 20;

/// What must have decided at least once, or the pairs prove little.
const CLAUSES: &[&str] = &[
    "Tcp AddressesDiffer",
    "Tcp BinderHasReusePortGroup",
    "Tcp BinderLacksReuseAddr",
    "Tcp BothReuseAddr",
    "Tcp BothReusePort",
    "Tcp DevicesDiffer",
    "Tcp ForcedReuse",
    "Tcp Listening",
    "Tcp NeitherReuseAddr",
    "Tcp OtherLacksReuseAddr",
    "Tcp PortNotFree",
    "Tcp UsersDiffer",
    "Udp AddressesDiffer",
    "Udp BinderHasReusePortGroup",
    "Udp BinderLacksReuseAddr",
    "Udp BothReuseAddr",
    "Udp BothReusePort",
    "Udp DevicesDiffer",
    "Udp NeitherReuseAddr",
    "Udp OtherLacksReuseAddr",
    "Udp PortNotFree",
    "Udp UsersDiffer",
];

#[test]
fn the_rule_says_what_the_kernel_does() {
    if !can("network namespaces need root", is_possible()) {
        return;
    }
    let report = run(PAIRS, SEED).unwrap();
    println!("{report}");
    assert_eq!(report.mismatched, 0, "{report}");
    for clause in CLAUSES {
        assert!(report.clauses.contains_key(*clause), "never {clause}");
    }
}
