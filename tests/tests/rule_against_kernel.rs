//! Sockets bound for real, in generated pairs: the kernel does what portwatch's rule says.

use portwatch_tests::{harness::can_trace, rule};

#[test]
fn the_kernel_does_what_the_rule_says() {
    if !can_trace() {
        return;
    }
    let report = rule::run(10_000, 1).expect("the pairs are played");
    assert_eq!(report.mismatched, 0, "{report}");
    assert!(report.pairs > 10_000, "the core comes on top: {report}");
}
