//! The pairs: all of a small core, and random ones of everything.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fastrand::Rng;
use portwatch_core::verdict::rule::Transport;

use super::pair::{Ask, Change, Device, End, Fate, Life, OTHER_UID, Pair, Plan};

/// The second address of the loopback device, beside `::1`.
pub(super) const SECOND_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);

const SECOND_V4: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// So many pairs: up to half of them from the core, whichever the seed says, the others random.
pub(super) fn pairs(count: usize, seed: u64, ipv6: bool) -> impl Iterator<Item = Pair> {
    let mut core: Vec<_> = core(ipv6).collect();
    Rng::with_seed(seed).shuffle(&mut core);
    core.truncate(count / 2);
    let left = count - core.len();
    core.into_iter().chain(random(seed, ipv6).take(left))
}

/// Addresses, and `IPV6_V6ONLY`.
fn places(ipv6: bool) -> Vec<(IpAddr, bool)> {
    let v4 = [Ipv4Addr::UNSPECIFIED, Ipv4Addr::LOCALHOST, SECOND_V4];
    let mut places: Vec<_> = v4.map(|addr| (IpAddr::from(addr), false)).into();
    if ipv6 {
        places.extend(v4.map(|addr| (IpAddr::from(addr.to_ipv6_mapped()), false)));
        places.extend([
            (Ipv6Addr::UNSPECIFIED.into(), false),
            (Ipv6Addr::UNSPECIFIED.into(), true),
            (Ipv6Addr::LOCALHOST.into(), false),
            (SECOND_V6.into(), false),
        ]);
    }
    places
}

/// What every option and place is tried with.
const CORE: &[(Transport, Life, Ask)] = &[
    (Transport::Tcp, Life::Bound, Ask::Bind),
    (Transport::Tcp, Life::Listening, Ask::Bind),
    (Transport::Tcp, Life::Listening, Ask::ListenSecond),
    (
        Transport::Tcp,
        Life::Connection(End::Accepted, Fate::Established),
        Ask::Bind,
    ),
    (
        Transport::Tcp,
        Life::Connection(End::Accepted, Fate::TimeWait),
        Ask::Bind,
    ),
    (
        Transport::Tcp,
        Life::Connection(End::Picked, Fate::Established),
        Ask::Bind,
    ),
    (
        Transport::Tcp,
        Life::Connection(End::Picked, Fate::TimeWait),
        Ask::Bind,
    ),
    (Transport::Udp, Life::Bound, Ask::Bind),
];

/// Every two places with every setting of `SO_REUSEADDR` and `SO_REUSEPORT`, of one user and of two, for each of
/// [`CORE`].
fn core(ipv6: bool) -> impl Iterator<Item = Pair> {
    // Two bits for `SO_REUSEADDR`, two for `SO_REUSEPORT`, and one for the user, who counts only if the latter are set.
    const REUSEPORT: u8 = 0b1100;
    let options = (0..32_u8).filter(|bits| bits & 16 == 0 || bits & REUSEPORT == REUSEPORT);
    let places = places(ipv6);
    let of = move |(addr, v6only): (IpAddr, bool), bits: u8| Plan {
        v6only,
        reuse: bits & 1,
        reuseport: bits & 4 != 0,
        ..Plan::at(addr)
    };
    CORE.iter().flat_map(move |&(transport, life, ask)| {
        let (places, options) = (places.clone(), options.clone());
        let two = places
            .clone()
            .into_iter()
            .flat_map(move |a| places.clone().into_iter().map(move |b| (a, b)));
        two.flat_map(move |(existing, binder)| {
            options.clone().map(move |bits| {
                let uid = if bits & 16 == 0 { 0 } else { OTHER_UID };
                Pair {
                    transport,
                    existing: Plan {
                        uid,
                        ..of(existing, bits)
                    },
                    life,
                    over_ipv4: false,
                    change: None,
                    binder: of(binder, bits >> 1),
                    ask,
                }
                .made_possible()
            })
        })
    })
}

/// Random pairs. The same seed gives the same ones.
fn random(seed: u64, ipv6: bool) -> impl Iterator<Item = Pair> {
    let places = places(ipv6);
    let mut rng = Rng::with_seed(seed);
    std::iter::repeat_with(move || {
        Pair {
            transport: pick(&mut rng, &[Transport::Tcp, Transport::Tcp, Transport::Udp]),
            existing: plan(&mut rng, &places),
            life: life(&mut rng),
            over_ipv4: rng.bool(),
            change: one_in(&mut rng, 5).then(|| {
                pick(
                    &mut rng,
                    &[Change::ReuseAddr, Change::ReusePort, Change::Owner],
                )
            }),
            binder: plan(&mut rng, &places),
            ask: ask(&mut rng),
        }
        .made_possible()
    })
}

fn plan(rng: &mut Rng, places: &[(IpAddr, bool)]) -> Plan {
    let (addr, v6only) = pick(rng, places);
    Plan {
        addr,
        v6only: v6only || one_in(rng, 4),
        device: match rng.u8(..8) {
            0 | 1 => Device::Loopback,
            2 => Device::Other,
            _ => Device::None,
        },
        reuse: if one_in(rng, 10) { 2 } else { rng.u8(..2) },
        reuseport: rng.bool(),
        program: one_in(rng, 6),
        uid: if one_in(rng, 3) { OTHER_UID } else { 0 },
    }
}

fn life(rng: &mut Rng) -> Life {
    const ENDS: &[End] = &[
        End::Accepted,
        End::AcceptedByOther,
        End::Queued,
        End::Bound,
        End::Picked,
    ];
    const FATES: &[Fate] = &[
        Fate::SynSent,
        Fate::Established,
        Fate::CloseWait,
        Fate::HalfClosed,
        Fate::FinWait1,
        Fate::Closing,
        Fate::LastAck,
        Fate::FinWait2,
        Fate::TimeWait,
    ];
    match rng.u8(..8) {
        0 => Life::Bound,
        1 => Life::Listening,
        2 => Life::Stopped,
        3 => Life::Connected,
        _ => Life::Connection(pick(rng, ENDS), pick(rng, FATES)),
    }
}

fn ask(rng: &mut Rng) -> Ask {
    match rng.u8(..8) {
        0 => Ask::Any,
        1 => Ask::AnyReuse,
        2 => Ask::ListenUnbound,
        3 => Ask::ListenSecond,
        _ => Ask::Bind,
    }
}

fn one_in(rng: &mut Rng, several: u8) -> bool {
    rng.u8(..several) == 0
}

fn pick<T: Copy>(rng: &mut Rng, among: &[T]) -> T {
    among[rng.usize(..among.len())]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_core_is_whole_and_repeats_nothing() {
        let pairs: Vec<_> = core(true).collect();
        let (places, options) = (10, 20);
        assert_eq!(pairs.len(), CORE.len() * places * places * options);
        let different: HashSet<_> = pairs.iter().collect();
        assert_eq!(different.len(), pairs.len());
        assert!(core(false).all(|pair| pair.binder.addr.is_ipv4() && pair.existing.addr.is_ipv4()));
    }

    #[test]
    fn a_seed_stands_for_its_pairs() {
        let of = |seed| pairs(200, seed, true).collect::<Vec<_>>();
        assert_eq!(of(7), of(7));
        assert_eq!(of(7).len(), 200);
        assert_ne!(of(7)[..100], of(8)[..100]);
        assert_ne!(of(7)[100..], of(8)[100..]);
    }

    #[test]
    fn enough_pairs_hold_the_whole_core() {
        let all: HashSet<_> = pairs(36_000, 7, true).collect();
        assert!(core(true).all(|pair| all.contains(&pair)));
    }

    #[test]
    fn what_is_made_possible_stays_as_it_is() {
        for pair in random(1, true).take(10_000) {
            assert_eq!(pair.made_possible(), pair);
        }
    }
}
