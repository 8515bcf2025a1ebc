use super::*;

#[test]
fn attempts_are_attached_last_and_entries_before_returns() {
    let last = CAPABILITIES.last().unwrap();
    assert!(last.required);
    let [way] = last.ways else {
        panic!("attempts are tracepoints in every tier")
    };
    let originals = way.hooks.iter().filter(|hook| hook.when == When::Always);
    let names: Vec<_> = originals.map(|hook| hook.program).collect();
    assert_eq!(
        names,
        ["enter_bind", "exit_bind", "enter_listen", "exit_listen"]
    );
    assert_eq!(CAPABILITIES.iter().filter(|c| c.required).count(), 1);
}

#[test]
fn the_best_way_comes_first() {
    for capability in CAPABILITIES {
        let tiers: Vec<_> = capability.ways.iter().map(|way| way.tier).collect();
        assert!(
            matches!(tiers[..], [_] | [Tier::Fexit, Tier::Tracepoint]),
            "{}: {tiers:?}",
            capability.name
        );
    }
}
