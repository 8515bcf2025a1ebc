//! What is played, and where.

use fastrand::Rng;

use crate::lab::scenario::{Scenario, all};

/// Plays that share a namespace. It is left soon: the source ports of what is in `TIME_WAIT` there are not free.
const GROUP: usize = 24;
/// One group of so many is played in the namespace that the machine is in.
const HOST_EVERY: usize = 8;

/// Left out: one leaves a thousand connections in `TIME_WAIT` in its namespace, whose source ports others would get. The
/// second gives a pid again, at times within the 10 ms that portwatch tells starts apart by: then it says less. The third
/// needs two processors for itself to meet microseconds.
const LEFT_OUT: &[&str] = &[
    "listener-behind-time-waits",
    "inherited-pid-reused",
    "released-just-now",
];
/// Their scripts need a source port that nothing else has or had: not for a namespace that others are in.
const OF_THEIR_OWN: &[&str] = &[
    "ephemeral-port",
    "ephemeral-time-wait",
    "self-connect",
    "udp-ephemeral-port",
];

/// Scenarios that are played in one namespace.
pub(super) struct Group {
    /// A namespace of its own, and not the machine's.
    pub(super) of_its_own: bool,
    pub(super) plays: Vec<&'static Scenario>,
}

/// So many plays: every scenario as often as any other, in an order that the seed decides.
///
/// Those about watched ports are left out: another portwatch is for them, and some take the kernel a minute.
pub(super) fn groups(plays: usize, seed: u64) -> Vec<Group> {
    let mut rng = Rng::with_seed(seed);
    let mut deck = Vec::new();
    let mut host_deck = Vec::new();
    let mut groups = Vec::new();
    let mut left = plays;
    while left > 0 {
        let of_its_own = !groups.len().is_multiple_of(HOST_EVERY);
        let deck = if of_its_own {
            &mut deck
        } else {
            &mut host_deck
        };
        let mut draw = || draw(deck, &mut rng, of_its_own);
        let plays = (0..GROUP.min(left)).map_while(|_| draw()).collect();
        groups.push(Group { of_its_own, plays });
        left = left.saturating_sub(GROUP);
    }
    groups
}

/// The next card; all of them are shuffled again when none is left.
fn draw(
    deck: &mut Vec<&'static Scenario>,
    rng: &mut Rng,
    of_its_own: bool,
) -> Option<&'static Scenario> {
    if deck.is_empty() {
        let fits =
            |name: &str| !LEFT_OUT.contains(&name) && (of_its_own || !OF_THEIR_OWN.contains(&name));
        deck.extend(all().filter(|scenario| !scenario.watched && fits(scenario.name)));
        rng.shuffle(deck);
    }
    deck.pop()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(plays: usize, seed: u64) -> Vec<(bool, Vec<&'static str>)> {
        let of = |group: Group| {
            let names = group.plays.iter().map(|scenario| scenario.name);
            (group.of_its_own, names.collect())
        };
        groups(plays, seed).into_iter().map(of).collect()
    }

    #[test]
    fn a_seed_decides_all_of_it() {
        assert_eq!(names(500, 7), names(500, 7));
        assert_ne!(names(500, 7), names(500, 8));
        let plays: usize = names(500, 7).iter().map(|(_, names)| names.len()).sum();
        assert_eq!(plays, 500);
    }

    #[test]
    fn none_is_forgotten() {
        let played: Vec<_> = names(2000, 1)
            .into_iter()
            .flat_map(|(_, names)| names)
            .collect();
        for scenario in all().filter(|scenario| !scenario.watched) {
            let left_out = LEFT_OUT.contains(&scenario.name);
            assert_ne!(
                played.contains(&scenario.name),
                left_out,
                "{}",
                scenario.name
            );
        }
    }
}
