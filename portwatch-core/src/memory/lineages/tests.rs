use super::*;

const fn key(pid: u32) -> Key {
    Key::new(pid, 0)
}

fn fork(lineages: &mut Lineages, parent: u32, child: u32) {
    lineages.forked((key(parent), 0), (key(child), 0), "x");
}

fn line(lineages: &Lineages, pid: u32) -> Vec<u32> {
    lineages
        .line(key(pid))
        .iter()
        .map(|link| link.key.pid)
        .collect()
}

#[test]
fn the_dead_stay_for_as_long_as_who_descends_from_them() {
    let mut lineages = Lineages::default();
    fork(&mut lineages, 1, 2);
    fork(&mut lineages, 2, 3);
    fork(&mut lineages, 2, 4);
    lineages.ended(key(2));
    assert_eq!(line(&lineages, 3), [3, 2, 1]);
    lineages.ended(key(3));
    assert_eq!(line(&lineages, 4), [4, 2, 1]);
    lineages.ended(key(4));
    assert_eq!(lineages.len(), 1, "the first has not ended");
    assert_eq!(lineages.evicted(), 0);
}

/// Each ends when it has made the next one.
#[test]
fn an_endless_chain_is_bounded_too() {
    let mut lineages = Lineages::with_capacity(NonZeroUsize::new(100).unwrap());
    for pid in 0..10_000 {
        fork(&mut lineages, pid, pid + 1);
        lineages.ended(key(pid));
    }
    assert_eq!(lineages.len(), 100);
    assert_eq!(lineages.evicted(), 10_001 - 100);
    assert_eq!(line(&lineages, 10_000).len(), GENERATIONS + 1);
}

#[test]
fn a_pid_that_is_given_again_within_a_tick_is_another_process() {
    let mut lineages = Lineages::default();
    lineages.forked((key(1), 0), (Key::new(7, 1), 1), "old");
    lineages.forked((Key::new(7, 1), 1), (key(8), 0), "child");
    lineages.forked((key(1), 0), (Key::new(7, 2), 2), "new");
    assert_eq!(line(&lineages, 8), [8]);
    assert_eq!(lineages.get(key(7)).unwrap().comm, "new");
}

#[test]
fn an_exec_outlives_what_was_sent_before() {
    let mut lineages = Lineages::default();
    let sent = Sent {
        boot_ns: 5,
        signal: 15,
        by: None,
    };
    lineages.signalled(key(1), 0, sent.clone());
    assert_eq!(lineages.get(key(1)).unwrap().signal, Some(sent));
    let exec = Exec {
        boot_ns: 6,
        comm: "y".to_owned(),
        exe: None,
    };
    lineages.executed(key(1), 0, exec);
    assert_eq!(lineages.get(key(1)).unwrap().signal, None);
}
