use proptest::prelude::*;

use super::*;
use crate::model::process::Process;

const SECOND: u64 = 1_000_000_000;

fn process(pid: u32) -> Process {
    Process {
        pid,
        comm: "node".to_owned(),
        exe: Some("/usr/bin/x".to_owned()),
        start_boot_ns: Some(Big(u64::from(pid) * SECOND)),
        ..Process::default()
    }
}

fn who(process: &Process) -> (processes::Key, &Process) {
    let start = process.start_boot_ns.unwrap().0;
    (processes::Key::new(process.pid, start), process)
}

fn key(port: u16) -> Key {
    Key {
        who: Identity::of(&process(1)),
        netns: 1,
        proto: Proto::Tcp,
        addr: "0.0.0.0".to_owned(),
        port: Some(port),
    }
}

/// `owner`: pid of the blocking socket's owner, 0 for nobody's.
fn failed(boot_ns: u64, cause: Cause, owner: u32) -> Failed {
    Failed {
        boot_ns,
        time: format!("at {boot_ns}"),
        began_ns: boot_ns,
        listens: false,
        cause: Some(cause),
        owner: (owner != 0).then(|| process(owner)),
        standing: None,
    }
}

fn fail(episodes: &mut Episodes, pid: u32, failed: Failed) -> u64 {
    let process = process(pid);
    let told = episodes.fail(&key(8080), Proto::Tcp, who(&process), failed);
    assert_eq!(told.1.map(|(_, open)| open.id), None);
    told.0
}

fn spells(open: &Open) -> Vec<(Option<Cause>, u32, u64, u64)> {
    let pid = |spell: &Spell| spell.owner.as_ref().map_or(0, |owner| owner.pid);
    open.spells()
        .map(|spell| (spell.cause, pid(spell), spell.ns, spell.attempts))
        .collect()
}

#[test]
fn ten_thousand_retries_are_one_episode() {
    let mut episodes = Episodes::default();
    for at in 0..10_000 {
        assert_eq!(
            fail(&mut episodes, 1, failed(at, Cause::LiveListener, 7)),
            1
        );
    }
    let open = episodes.succeed(&key(8080), false).unwrap();
    assert_eq!((open.failures, open.processes), (10_000, 1));
    assert_eq!(
        spells(&open),
        [(Some(Cause::LiveListener), 7, 9999, 10_000)]
    );
    assert!(episodes.is_empty());
    assert_eq!(fail(&mut episodes, 1, failed(1, Cause::LiveListener, 7)), 2);
}

/// The time until the next attempt is that of what refused before it.
#[test]
fn time_is_put_down_to_what_refused_before_it() {
    let mut episodes = Episodes::default();
    for (at, cause, owner) in [
        (10, Cause::LiveListener, 7),
        (13, Cause::LiveListener, 7),
        (22, Cause::TimeWait, 7),
        (40, Cause::TimeWait, 8),
        (41, Cause::TimeWait, 8),
    ] {
        fail(&mut episodes, 1, failed(at, cause, owner));
    }
    let mut open = episodes.succeed(&key(8080), false).unwrap();
    open.again(71, "the end");
    assert_eq!(
        spells(&open),
        [
            (Some(Cause::LiveListener), 7, 12, 2),
            (Some(Cause::TimeWait), 7, 18, 1),
            (Some(Cause::TimeWait), 8, 31, 2),
        ]
    );
    assert_eq!((open.blocked_ns, open.failures), (61, 5));
    assert_eq!((&*open.first, &*open.last), ("at 10", "the end"));
}

#[test]
fn a_listen_that_failed_is_ended_by_a_listen_alone() {
    let mut episodes = Episodes::default();
    fail(
        &mut episodes,
        1,
        Failed {
            listens: true,
            ..failed(1, Cause::ListenRace, 7)
        },
    );
    fail(&mut episodes, 1, failed(2, Cause::LiveListener, 7));
    assert!(episodes.succeed(&key(8080), false).is_none());
    assert_eq!(episodes.succeed(&key(8080), true).unwrap().failures, 2);
    assert!(episodes.succeed(&key(8080), true).is_none());
}

#[test]
fn spells_are_bounded_and_the_last_is_kept() {
    let mut episodes = Episodes::default();
    let owner = |at: u64| u32::try_from(at % 2 + 7).unwrap();
    for at in 0..100 {
        let failed = failed(at, Cause::LiveListener, owner(at));
        fail(&mut episodes, 1, failed);
    }
    let open = episodes.remove(&key(8080)).unwrap();
    let spells = spells(&open);
    assert_eq!((spells.len(), open.omitted), (SPELLS, 100 - SPELLS as u64));
    assert_eq!(spells[SPELLS - 1].1, owner(99));
    assert_eq!(open.blocked_ns, 99);
}

#[test]
fn processes_are_counted_once_each_and_never_too_often() {
    let mut episodes = Episodes::default();
    for at in 0..10 {
        let pid = u32::try_from(at % 2 + 1).unwrap();
        fail(&mut episodes, pid, failed(at, Cause::LiveListener, 7));
    }
    for pid in 3..=300 {
        fail(&mut episodes, pid, failed(11, Cause::LiveListener, 7));
    }
    fail(&mut episodes, 1, failed(12, Cause::LiveListener, 7));
    let open = episodes.remove(&key(8080)).unwrap();
    assert_eq!((open.processes, open.process.pid), (300, 1));
    assert_eq!(open.tried().len(), PROCESSES);
}

#[test]
fn room_is_bounded_and_what_is_dropped_is_given_back_and_counted() {
    let mut episodes = Episodes::with_capacity(NonZeroUsize::new(2).unwrap());
    let process = process(1);
    let mut fail = |port, at| {
        let failed = failed(at, Cause::LiveListener, 7);
        let told = episodes.fail(&key(port), Proto::Tcp, who(&process), failed);
        (told.0, told.1.map(|(key, _)| key.port))
    };
    assert_eq!(fail(1, 1), (1, None));
    assert_eq!(fail(2, 2), (2, None));
    assert_eq!(fail(1, 3), (1, None));
    assert_eq!(fail(3, 4), (3, Some(Some(2))));
    assert_eq!(episodes.evicted(), 1);
    let rest = episodes.drain();
    let ids: Vec<u64> = rest.iter().map(|(_, open)| open.id).collect();
    assert_eq!(ids, [1, 3]);
}

/// When it failed, when it is looked at, and whether it is over if its processes live, and if they have ended.
#[test]
fn who_waits_long_between_tries_is_waited_for() {
    let after = |fails: &[u64], now: u64| {
        let mut episodes = Episodes::default();
        for at in fails {
            let failed = failed(at * SECOND, Cause::LiveListener, 7);
            fail(&mut episodes, 1, failed);
        }
        let due = !episodes.to_look_at(now * SECOND).is_empty();
        let open = episodes.get(&key(8080)).unwrap();
        let over = |ended| due && open.is_over(now * SECOND, ended);
        (over(false), over(true))
    };
    assert_eq!(after(&[100], 159), (false, false));
    assert_eq!(after(&[100], 160), (false, true));
    assert_eq!(after(&[100], 699), (false, true));
    assert_eq!(after(&[100], 700), (true, true));
    // Three minutes lay between two of its tries.
    assert_eq!(after(&[100, 280], 639), (false, false));
    assert_eq!(after(&[100, 280], 640), (false, true));
    assert_eq!(after(&[100, 280], 999), (false, true));
    assert_eq!(after(&[100, 280], 1000), (true, true));
}

#[test]
fn they_are_looked_at_less_and_less() {
    let mut episodes = Episodes::default();
    fail(&mut episodes, 1, failed(0, Cause::LiveListener, 7));
    let looks: Vec<u64> = (0..600)
        .filter(|now| !episodes.to_look_at(now * SECOND).is_empty())
        .collect();
    assert_eq!(looks[..3], [60, 75, 94]);
    assert!(looks.len() < 15, "{looks:?}");
}

#[test]
fn nobody_tries_while_the_machine_sleeps() {
    let mut episodes = Episodes::default();
    fail(&mut episodes, 1, failed(0, Cause::LiveListener, 7));
    episodes.postpone(1000 * SECOND);
    assert!(episodes.to_look_at(1059 * SECOND).is_empty());
    let open = episodes.get(&key(8080)).unwrap();
    assert!(!open.is_over(1059 * SECOND, true));
    assert!(open.is_over(1060 * SECOND, true));
}

proptest! {
    /// Whatever the times, be they out of order: nothing is counted twice, and nothing is left out.
    #[test]
    fn spells_add_up(attempts in prop::collection::vec((0_u64..1_000_000, 0_u32..3, 1_u32..4), 1..200)) {
        let mut episodes = Episodes::default();
        for (at, owner, pid) in &attempts {
            fail(&mut episodes, *pid, failed(*at, Cause::LiveListener, *owner));
        }
        let open = episodes.remove(&key(8080)).unwrap();
        let spells = spells(&open);
        let ns: u64 = spells.iter().map(|spell| spell.2).sum();
        let counted: u64 = spells.iter().map(|spell| spell.3).sum();
        prop_assert_eq!(open.failures, attempts.len() as u64);
        let times = attempts.iter().map(|(at, ..)| *at);
        prop_assert!(open.blocked_ns <= times.clone().max().unwrap() - attempts[0].0.min(times.max().unwrap()));
        if open.omitted == 0 {
            prop_assert_eq!(ns, open.blocked_ns);
            prop_assert_eq!(counted, open.failures);
        } else {
            prop_assert!(ns <= open.blocked_ns && counted < open.failures);
            prop_assert_eq!(spells.len(), SPELLS);
        }
        for pair in spells.windows(2) {
            // Omitted ones lie before the last.
            prop_assert!(open.omitted > 0 || pair[0].1 != pair[1].1);
        }
    }
}
