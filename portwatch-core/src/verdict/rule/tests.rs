use crate::prelude::*;
use rstest::rstest;

use super::*;
use Clause::{
    BinderHasReusePortGroup, BinderLacksReuseAddr, BothReuseAddr, BothReusePort, Listening,
    NeitherReuseAddr, OtherLacksReuseAddr, PortNotFree, UsersDiffer,
};
use Ruling::{Allowed, Conflict, Undecided};
use State::{
    Bound, CloseWait, Closing, Established, FinWait1, FinWait2, LastAck, Listen, SynSent, TimeWait,
};

mod properties;

const TCP: Call = Call {
    transport: Transport::Tcp,
    port: Port::Explicit,
};
const UDP: Call = Call {
    transport: Transport::Udp,
    port: Port::Explicit,
};

/// A socket of root's on 0.0.0.0 without options.
fn side(state: State) -> Side {
    Side {
        addr: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        v6only: false,
        device: 0,
        reuse: 0,
        reuseport: false,
        reuseport_group: false,
        uid: Some(0),
        state,
    }
}

/// `0.0.0.0`, `::` and so on; `::!` is `IPV6_V6ONLY`. A socket bound to a specific IPv6 address is that by itself.
fn at(text: &str) -> Side {
    let addr: IpAddr = text.trim_end_matches('!').parse().unwrap();
    let specific = matches!(addr, IpAddr::V6(addr) if !addr.is_unspecified() && addr.to_ipv4_mapped().is_none());
    Side {
        addr,
        v6only: text.ends_with('!') || specific,
        ..side(Bound)
    }
}

#[rstest]
// binder, then against: 0.0.0.0  10.0.0.1  10.0.0.2  ::  ::!  2001:db8::1  2001:db8::2  ::ffff:10.0.0.1  ::ffff:10.0.0.2
#[case("0.0.0.0", "YYYY---YY")]
#[case("10.0.0.1", "YY-Y---Y-")]
#[case("::", "YYYYYYYYY")]
#[case("::!", "---YYYY--")]
#[case("2001:db8::1", "---YYY---")]
#[case("::ffff:10.0.0.1", "YY-Y---Y-")]
fn addresses_overlap_as_the_kernel_says(#[case] binder: &str, #[case] expected: &str) {
    let existing = [
        "0.0.0.0",
        "10.0.0.1",
        "10.0.0.2",
        "::",
        "::!",
        "2001:db8::1",
        "2001:db8::2",
        "::ffff:10.0.0.1",
        "::ffff:10.0.0.2",
    ];
    for (existing, expected) in existing.into_iter().zip(expected.chars()) {
        let expected = expected == 'Y';
        assert_eq!(
            overlap(&at(binder), &at(existing)),
            expected,
            "{binder} against {existing}"
        );
        // Of bound sockets the table is symmetric.
        assert_eq!(
            overlap(&at(existing), &at(binder)),
            expected,
            "{existing} against {binder}"
        );
    }
}

/// Observed on Linux 6.18: accepted by a dual-stack listener or outgoing, not `IPV6_V6ONLY`.
#[rstest]
#[case("0.0.0.0", true)]
#[case("127.0.0.1", false)]
#[case("::1", true)]
#[case("::2", false)]
#[case("::", true)]
#[case("::!", true)]
#[case("::ffff:0.0.0.0", false)]
#[case("::ffff:127.0.0.1", false)]
fn an_ipv6_connection_counts_against_the_ipv4_wildcard(
    #[case] binder: &str,
    #[case] expected: bool,
) {
    let connection = Side {
        v6only: false,
        state: Established,
        ..at("::1")
    };
    assert_eq!(overlap(&at(binder), &connection), expected);
    assert_eq!(
        overlap(
            &at(binder),
            &Side {
                v6only: true,
                ..connection
            }
        ),
        expected && binder != "0.0.0.0"
    );
}

#[rstest]
#[case("::ffff:0.0.0.0", "127.0.0.1", true)]
#[case("::ffff:0.0.0.0", "::", true)]
#[case("::ffff:0.0.0.0", "::!", false)]
#[case("::ffff:0.0.0.0", "::1", false)]
fn the_mapped_wildcard_is_the_ipv4_one(#[case] a: &str, #[case] b: &str, #[case] expected: bool) {
    assert_eq!(overlap(&at(a), &at(b)), expected);
    assert_eq!(overlap(&at(b), &at(a)), expected);
}

/// State of the other, `SO_REUSEADDR` of both ("10": only the binder has it), `SO_REUSEPORT` of both, uids equal.
#[rstest]
#[case::a_listener(Listen, "00", "00", true, Conflict(Listening))]
#[case::a_listener(Listen, "11", "00", true, Conflict(Listening))]
#[case::a_listener(Listen, "11", "10", true, Conflict(Listening))]
#[case::a_listener(Listen, "11", "01", true, Conflict(Listening))]
#[case::a_shared_listener(Listen, "00", "11", true, Allowed(BothReusePort))]
#[case::another_users_listener(Listen, "00", "11", false, Conflict(UsersDiffer))]
#[case::another_users_listener(Listen, "11", "11", false, Conflict(UsersDiffer))]
#[case::bound(Bound, "11", "00", true, Allowed(BothReuseAddr))]
#[case::bound(Bound, "11", "11", false, Allowed(BothReuseAddr))]
#[case::bound(Bound, "01", "00", true, Conflict(BinderLacksReuseAddr))]
#[case::bound(Bound, "10", "00", true, Conflict(OtherLacksReuseAddr))]
#[case::bound(Bound, "00", "00", true, Conflict(NeitherReuseAddr))]
#[case::bound(Bound, "00", "11", true, Allowed(BothReusePort))]
#[case::bound(Bound, "10", "11", false, Conflict(UsersDiffer))]
#[case::child(Established, "11", "00", true, Allowed(BothReuseAddr))]
#[case::child(CloseWait, "10", "00", true, Conflict(OtherLacksReuseAddr))]
#[case::child(FinWait1, "00", "00", true, Conflict(NeitherReuseAddr))]
#[case::child(FinWait2, "01", "00", true, Conflict(BinderLacksReuseAddr))]
#[case::child(LastAck, "10", "10", true, Conflict(OtherLacksReuseAddr))]
#[case::child(Closing, "11", "00", false, Allowed(BothReuseAddr))]
#[case::connecting(SynSent, "10", "00", true, Conflict(OtherLacksReuseAddr))]
#[case::time_wait(TimeWait, "11", "00", true, Allowed(BothReuseAddr))]
#[case::time_wait(TimeWait, "10", "00", true, Conflict(OtherLacksReuseAddr))]
#[case::time_wait(TimeWait, "01", "00", true, Conflict(BinderLacksReuseAddr))]
#[case::time_wait(TimeWait, "00", "00", true, Conflict(NeitherReuseAddr))]
#[case::time_wait_has_no_user(TimeWait, "00", "11", false, Allowed(BothReusePort))]
fn tcp_is_decided_by_options_and_state(
    #[case] state: State,
    #[case] reuseaddr: &str,
    #[case] reuseport: &str,
    #[case] one_user: bool,
    #[case] expected: Ruling,
) {
    let (binder, existing) = pair(state, reuseaddr, reuseport, one_user);
    assert_eq!(conflict(TCP, &binder, &existing), expected);
    // listen() asks the same.
    assert_eq!(
        conflict(
            TCP,
            &Side {
                state: Listen,
                ..binder
            },
            &existing
        ),
        expected
    );
}

fn pair(state: State, reuseaddr: &str, reuseport: &str, one_user: bool) -> (Side, Side) {
    let set = |options: &str, of: usize| options.as_bytes()[of] == b'1';
    let of = |of: usize, state: State| Side {
        reuse: u8::from(set(reuseaddr, of)),
        reuseport: set(reuseport, of),
        ..side(state)
    };
    let uid = if one_user { Some(0) } else { Some(1000) };
    (
        of(0, Bound),
        Side {
            uid,
            ..of(1, state)
        },
    )
}

#[rstest]
#[case::either("11", "00", false, Allowed(BothReuseAddr))]
#[case::either("11", "10", true, Allowed(BothReuseAddr))]
#[case::other("00", "11", true, Allowed(BothReusePort))]
#[case::another_user("00", "11", false, Conflict(UsersDiffer))]
#[case::one_sided("10", "00", true, Conflict(OtherLacksReuseAddr))]
#[case::one_sided("01", "00", true, Conflict(BinderLacksReuseAddr))]
#[case::none("00", "10", true, Conflict(NeitherReuseAddr))]
fn udp_is_decided_by_options_alone(
    #[case] reuseaddr: &str,
    #[case] reuseport: &str,
    #[case] one_user: bool,
    #[case] expected: Ruling,
    #[values(Bound, Established)] state: State,
) {
    let (binder, existing) = pair(state, reuseaddr, reuseport, one_user);
    assert_eq!(conflict(UDP, &binder, &existing), expected);
}

#[rstest]
fn a_group_of_its_own_bars_the_binder_from_another(#[values(TCP, UDP)] call: Call) {
    let (binder, existing) = pair(Bound, "00", "11", true);
    let binder = Side {
        reuseport_group: true,
        ..binder
    };
    assert_eq!(
        conflict(call, &binder, &existing),
        Conflict(BinderHasReusePortGroup)
    );
    let stranger = Side {
        uid: Some(1000),
        ..existing.clone()
    };
    assert_eq!(conflict(call, &binder, &stranger), Conflict(UsersDiffer));
    let unread = Side {
        uid: None,
        ..existing.clone()
    };
    assert_eq!(
        conflict(call, &binder, &unread),
        Conflict(BinderHasReusePortGroup)
    );
    // The other's group is what it would join.
    let joined = Side {
        reuseport_group: true,
        ..existing
    };
    let binder = Side {
        reuseport_group: false,
        ..binder
    };
    assert_eq!(conflict(call, &binder, &joined), Allowed(BothReusePort));
}

#[rstest]
#[case(TCP, Listen, "00", "11", Undecided)]
#[case(TCP, Bound, "10", "11", Undecided)]
#[case(UDP, Bound, "00", "11", Undecided)]
#[case(TCP, TimeWait, "00", "11", Allowed(BothReusePort))]
#[case(TCP, Bound, "11", "11", Allowed(BothReuseAddr))]
#[case(TCP, Listen, "11", "01", Conflict(Listening))]
fn an_unread_uid_matters_only_where_it_decides(
    #[case] call: Call,
    #[case] state: State,
    #[case] reuseaddr: &str,
    #[case] reuseport: &str,
    #[case] expected: Ruling,
) {
    let (binder, existing) = pair(state, reuseaddr, reuseport, true);
    assert_eq!(
        conflict(
            call,
            &binder,
            &Side {
                uid: None,
                ..existing.clone()
            }
        ),
        expected
    );
    assert_eq!(
        conflict(
            call,
            &Side {
                uid: None,
                ..binder
            },
            &existing
        ),
        expected
    );
}

#[rstest]
#[case(0, 0, false)]
#[case(0, 2, false)]
#[case(2, 0, false)]
#[case(2, 2, false)]
#[case(2, 3, true)]
fn different_devices_never_conflict(
    #[case] ours: u32,
    #[case] theirs: u32,
    #[case] allowed: bool,
    #[values(TCP, UDP)] call: Call,
) {
    let binder = Side {
        device: ours,
        ..side(Bound)
    };
    let existing = Side {
        device: theirs,
        ..side(Listen)
    };
    let ruling = conflict(call, &binder, &existing);
    assert_eq!(
        ruling == Allowed(Clause::DevicesDiffer),
        allowed,
        "{ruling:?}"
    );
    assert_eq!(ruling.conflicts(), Some(!allowed));
}

#[test]
fn repair_forces_an_explicit_tcp_port() {
    let binder = Side {
        reuse: 2,
        ..side(Bound)
    };
    assert_eq!(
        conflict(TCP, &binder, &side(Listen)),
        Allowed(Clause::ForcedReuse)
    );
    assert_eq!(
        conflict(UDP, &binder, &side(Bound)),
        Conflict(OtherLacksReuseAddr)
    );
    let any = Call {
        port: Port::Any,
        ..TCP
    };
    assert_eq!(conflict(any, &binder, &side(Listen)), Conflict(PortNotFree));
}

#[rstest]
// Tcp: every overlapping socket makes a port not free. Udp: as for an explicit port.
#[case(Transport::Tcp, Port::Any, "11", "11", Conflict(PortNotFree))]
#[case(Transport::Udp, Port::Any, "11", "00", Allowed(BothReuseAddr))]
#[case(Transport::Udp, Port::Any, "10", "00", Conflict(PortNotFree))]
#[case(Transport::Tcp, Port::AnyReuse, "11", "00", Allowed(BothReuseAddr))]
#[case(Transport::Tcp, Port::AnyReuse, "11", "11", Conflict(PortNotFree))]
#[case(Transport::Tcp, Port::AnyReuse, "01", "00", Conflict(PortNotFree))]
fn any_port_asks_for_a_free_one(
    #[case] transport: Transport,
    #[case] port: Port,
    #[case] reuseaddr: &str,
    #[case] reuseport: &str,
    #[case] expected: Ruling,
) {
    let (binder, existing) = pair(Bound, reuseaddr, reuseport, true);
    assert_eq!(
        conflict(Call { transport, port }, &binder, &existing),
        expected
    );
    let elsewhere = Side {
        addr: Ipv4Addr::new(10, 0, 0, 1).into(),
        ..existing
    };
    let binder = Side {
        addr: Ipv4Addr::new(10, 0, 0, 2).into(),
        ..binder
    };
    let ruling = conflict(Call { transport, port }, &binder, &elsewhere);
    assert_eq!(ruling, Allowed(Clause::AddressesDiffer));
}

/// What was observed with real sockets on Linux 5.10, 6.1, 6.12, 6.18 and 7.2. A socket is its address, its
/// `SO_REUSEADDR` and `SO_REUSEPORT`, and its uid.
#[rstest]
#[case::one_address(TCP, "0.0.0.0 00 0", "0.0.0.0 00 0", Listen, true)]
#[case::reuseaddr_does_not_help(TCP, "127.0.0.1 10 0", "127.0.0.1 10 0", Listen, true)]
#[case::specific_against_any(TCP, "127.0.0.1 00 0", "0.0.0.0 00 0", Listen, true)]
#[case::any_against_specific(TCP, "0.0.0.0 00 0", "127.0.0.1 00 0", Listen, true)]
#[case::ipv4_against_dual_stack(TCP, "0.0.0.0 00 0", ":: 00 0", Listen, true)]
#[case::dual_stack_against_ipv4(TCP, ":: 00 0", "127.0.0.1 00 0", Listen, true)]
#[case::ipv6_against_ipv4(TCP, "::1 00 0", "0.0.0.0 00 0", Listen, false)]
#[case::v6only_against_ipv4(TCP, "::! 00 0", "0.0.0.0 00 0", Listen, false)]
#[case::two_users(TCP, "0.0.0.0 01 1000", "0.0.0.0 01 0", Listen, true)]
#[case::one_user(TCP, "0.0.0.0 01 0", "0.0.0.0 01 0", Listen, false)]
#[case::bound_only(TCP, "0.0.0.0 00 0", "0.0.0.0 00 0", Bound, true)]
#[case::time_wait_without(TCP, "0.0.0.0 10 0", "127.0.0.1 00 0", TimeWait, true)]
#[case::time_wait_with(TCP, "0.0.0.0 10 0", "127.0.0.1 10 0", TimeWait, false)]
#[case::outgoing(TCP, "0.0.0.0 10 0", "127.0.0.1 00 0", Established, true)]
#[case::outgoing_with(TCP, "0.0.0.0 10 0", "127.0.0.1 10 0", Established, false)]
#[case::udp(UDP, "0.0.0.0 00 0", "127.0.0.1 00 0", Bound, true)]
#[case::udp_two_users(UDP, "0.0.0.0 01 1000", "0.0.0.0 01 0", Bound, true)]
#[case::udp_reuse(UDP, "0.0.0.0 10 0", "0.0.0.0 10 0", Bound, false)]
#[case::child_of_another_user(TCP, "0.0.0.0 01 1000", "10.0.0.1 01 0", Established, true)]
#[case::time_wait_of_another_user(TCP, "0.0.0.0 01 1000", "10.0.0.1 01 0", TimeWait, false)]
fn scenarios_come_out_as_observed(
    #[case] call: Call,
    #[case] binder: &str,
    #[case] existing: &str,
    #[case] state: State,
    #[case] conflicts: bool,
) {
    let of = |text: &str, state| {
        let [addr, options, uid] = text.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{text}")
        };
        Side {
            reuse: u8::from(options.starts_with('1')),
            reuseport: options.ends_with('1'),
            uid: Some(uid.parse().unwrap()),
            state,
            ..at(addr)
        }
    };
    let ruling = conflict(call, &of(binder, Bound), &of(existing, state));
    assert_eq!(ruling.conflicts(), Some(conflicts));
}
