use crate::prelude::*;
use proptest::prelude::*;

use super::*;
use State::{CloseWait, Closing, Established, FinWait1, FinWait2, LastAck, SynSent, TimeWait};

fn sides() -> impl Strategy<Value = Side> {
    let addrs = [
        "0.0.0.0",
        "10.0.0.1",
        "10.0.0.2",
        "::",
        "2001:db8::1",
        "2001:db8::2",
        "::ffff:10.0.0.1",
    ];
    let states = [
        Listen,
        Bound,
        Established,
        SynSent,
        CloseWait,
        FinWait1,
        FinWait2,
        LastAck,
        Closing,
        TimeWait,
    ];
    let options = (0..=1_u8, any::<bool>(), any::<bool>(), any::<bool>());
    let rest = (
        0..3_u32,
        prop::option::of(0..2_u32),
        prop::sample::select(states.to_vec()),
    );
    (prop::sample::select(addrs.to_vec()), options, rest).prop_map(
        |(addr, (reuse, reuseport, reuseport_group, v6only), (device, uid, state))| {
            let addr: IpAddr = addr.parse().unwrap();
            Side {
                addr,
                v6only,
                device,
                reuse,
                reuseport,
                reuseport_group,
                uid,
                state,
            }
        },
    )
}

fn calls() -> impl Strategy<Value = Call> {
    let transports = vec![Transport::Tcp, Transport::Udp];
    let ports = vec![Port::Explicit, Port::Any, Port::AnyReuse];
    (
        prop::sample::select(transports),
        prop::sample::select(ports),
    )
        .prop_map(|(transport, port)| Call { transport, port })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn overlap_is_symmetric_but_for_ipv6_connections(a in sides(), b in sides()) {
        let counted_as_ipv4 = |any: &Side, connection: &Side| {
            any.addr == IpAddr::V4(Ipv4Addr::UNSPECIFIED)
                && matches!(Place::of(connection), Place::V6(_))
                && !connection.v6only
        };
        let symmetric = !counted_as_ipv4(&a, &b) && !counted_as_ipv4(&b, &a);
        prop_assert_eq!(overlap(&a, &b) == overlap(&b, &a), symmetric);
    }

    #[test]
    fn an_address_overlaps_itself(a in sides()) {
        prop_assert!(overlap(&a, &a));
    }

    #[test]
    fn different_devices_always_allow(call in calls(), mut a in sides(), mut b in sides()) {
        (a.device, b.device) = (1, 2);
        prop_assert_eq!(conflict(call, &a, &b), Allowed(Clause::DevicesDiffer));
    }

    /// No option makes an explicit port harder to get.
    #[test]
    fn an_option_more_never_refuses(
        a in sides(), b in sides(), tcp in any::<bool>(), which in 0..4_u8,
    ) {
        let call = if tcp { TCP } else { UDP };
        let (mut a2, mut b2) = (a.clone(), b.clone());
        match which {
            0 => a2.reuse = 1,
            1 => b2.reuse = 1,
            2 => a2.v6only = true,
            _ => b2.v6only = true,
        }
        if matches!(conflict(call, &a, &b), Allowed(_)) {
            prop_assert!(matches!(conflict(call, &a2, &b2), Allowed(_)));
        }
    }

    #[test]
    fn a_listener_is_shared_by_reuseport_alone(a in sides(), b in sides()) {
        let b = Side { state: Listen, ..b };
        if let Allowed(clause) = conflict(TCP, &a, &b) {
            prop_assert!(clause != BothReuseAddr);
        }
    }

    #[test]
    fn a_ruling_says_what_its_clause_says(call in calls(), a in sides(), b in sides()) {
        let ruling = conflict(call, &a, &b);
        let allowing = matches!(
            ruling.clause(),
            Clause::DevicesDiffer | Clause::AddressesDiffer | Clause::ForcedReuse | BothReuseAddr | BothReusePort
        );
        let conflicts = (ruling.clause() != Clause::Undecided).then_some(!allowing);
        prop_assert_eq!(ruling.conflicts(), conflicts);
    }
}
