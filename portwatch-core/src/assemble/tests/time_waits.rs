//! The life of a `TIME_WAIT`: as hooks report it, and as it is concluded.

use portwatch_common::event::time_wait::{
    Rechecked, TimeWait as RawTimeWait, action, flag as tw_flag, reason,
};

use super::*;
use crate::model::{
    record::Record,
    socket::State,
    time_wait::{Action, Reason, ReusedBy, TimeWait},
};

/// Jiffies a second, on the made-up machine.
const HZ: i64 = 250;

/// A `TIME_WAIT` of 127.0.0.1:8080 to port 40000, left by pid 10 ("server").
pub(super) fn event(action: u32, at_s: u64, left_s: i64) -> RawTimeWait {
    RawTimeWait {
        header: Header {
            boot_ns: at_s * SECOND,
            ..Header::default()
        },
        socket: Socket {
            sk: 0xf00,
            cookie: 77,
            netns: NETNS,
            state: state::TIME_WAIT,
            substate: state::TIME_WAIT,
            local: endpoint(Ipv4Addr::LOCALHOST, 8080),
            remote: endpoint(Ipv4Addr::LOCALHOST, 40_000),
            expires_in_jiffies: left_s * HZ,
            ..Socket::NONE
        },
        owner: RawOwner {
            key: 77,
            seal: 0,
            start_boot_ns: SECOND,
            tgid: 10,
            roles: role::CLOSED,
            comm: comm("server"),
            ..RawOwner::NONE
        },
        net: 0xbee,
        hash: 5,
        action,
        ..RawTimeWait::default()
    }
}

/// The same where hooks report only its beginning.
pub(super) fn inferred(at_s: u64, left_s: i64) -> RawTimeWait {
    RawTimeWait {
        flags: tw_flag::INFERRED,
        ..event(action::ENTER, at_s, left_s)
    }
}

pub(super) fn told(assembler: &mut Assembler<Fake>, raw: RawTimeWait) -> Vec<TimeWait> {
    let event = Event::TimeWait(Box::new(raw));
    assembler.event(&event).map(time_wait).collect()
}

fn time_wait(record: Record) -> TimeWait {
    match record.body {
        Body::TimeWait(time_wait) => *time_wait,
        other => panic!("{other:?}"),
    }
}

fn tick(assembler: &mut Assembler<Fake>, at_s: u64) -> Vec<TimeWait> {
    assembler.tick(at_s * SECOND).map(time_wait).collect()
}

/// What a look at it will give.
fn set(assembler: &mut Assembler<Fake>, at_s: u64, left_s: Option<i64>) {
    assembler.surroundings().rechecked = vec![Rechecked {
        boot_ns: at_s * SECOND,
        tw: 0xf00,
        expires_in_jiffies: left_s.unwrap_or(0) * HZ,
        present: u32::from(left_s.is_some()),
        substate: u32::from(state::TIME_WAIT),
    }];
}

#[test]
fn what_the_kernel_side_tells_is_passed_on() {
    let mut assembler = assembler();
    let mut enter = event(action::ENTER, 100, 60);
    enter.socket.substate = state::FIN_WAIT2;
    let entered = &told(&mut assembler, enter)[0];
    assert_eq!(
        (entered.action, entered.substate, entered.expires_in_ms),
        (Action::Enter, Some(State::FinWait2), Some(60_000))
    );
    let owner = entered.owner.as_ref().unwrap();
    assert_eq!(
        (owner.process.comm.as_str(), owner.alive, owner.source),
        ("server", Some(false), Source::Observed)
    );
    assert_eq!(entered.cookie.map(|cookie| cookie.0), Some(77));
    let rearmed = &told(&mut assembler, event(action::REARM, 110, 60))[0];
    assert_eq!(
        (rearmed.action, rearmed.substate, rearmed.expires_in_ms),
        (Action::Rearm, Some(State::TimeWait), Some(60_000))
    );
    let leave = RawTimeWait {
        reason: reason::EXPIRED,
        ..event(action::LEAVE, 171, -1)
    };
    let left = &told(&mut assembler, leave)[0];
    assert_eq!(
        (left.reason, left.lasted_ms, left.expires_in_ms),
        (Some(Reason::Expired), Some(71_000), None)
    );
    assert!(!entered.inferred && !rearmed.inferred && !left.inferred);
    assert_eq!(tick(&mut assembler, 1000), []);
}

#[test]
fn every_end_has_its_reason() {
    let ends = [
        (reason::EXPIRED, Some(Reason::Expired), None),
        (reason::KILLED, Some(Reason::Killed), None),
        (
            reason::REUSED_BY_SYN,
            Some(Reason::Reused),
            Some(ReusedBy::Syn),
        ),
        (
            reason::REUSED_BY_CONNECT,
            Some(Reason::Reused),
            Some(ReusedBy::Connect),
        ),
        (reason::UNKNOWN, None, None),
        (99, None, None),
    ];
    for (reason, expected, reused_by) in ends {
        let mut assembler = assembler();
        let leave = RawTimeWait {
            reason,
            ..event(action::LEAVE, 171, 0)
        };
        let left = &told(&mut assembler, leave)[0];
        assert_eq!((left.reason, left.reused_by), (expected, reused_by));
        // Its beginning was not seen.
        assert_eq!(left.lasted_ms, None);
    }
}

#[test]
fn one_that_is_gone_when_its_time_is_over_has_expired() {
    let mut assembler = assembler();
    assert!(told(&mut assembler, inferred(100, 60))[0].inferred);
    set(&mut assembler, 161, None);
    assert_eq!(tick(&mut assembler, 160), [], "not before");
    let left = &tick(&mut assembler, 161)[0];
    assert_eq!(
        (left.action, left.reason, left.lasted_ms, left.inferred),
        (Action::Leave, Some(Reason::Expired), Some(61_000), true)
    );
    assert_eq!(
        left.owner.as_ref().map(|owner| owner.process.comm.as_str()),
        Some("server")
    );
    assert_eq!(tick(&mut assembler, 500), [], "once");
}

#[test]
fn timers_fire_late_and_nothing_is_said_before() {
    let mut assembler = assembler();
    told(&mut assembler, inferred(100, 60));
    set(&mut assembler, 161, Some(-1));
    assert_eq!(tick(&mut assembler, 161), []);
    set(&mut assembler, 162, None);
    assert_eq!(tick(&mut assembler, 161), [], "a second later");
    assert_eq!(tick(&mut assembler, 162)[0].lasted_ms, Some(62_000));
}

#[test]
fn one_that_has_time_left_was_set_again() {
    let mut assembler = assembler();
    let mut enter = inferred(100, 60);
    enter.socket.substate = state::FIN_WAIT2;
    told(&mut assembler, enter);
    set(&mut assembler, 161, Some(59));
    let rearmed = &tick(&mut assembler, 161)[0];
    assert_eq!(
        (rearmed.action, rearmed.substate, rearmed.inferred),
        (Action::Rearm, Some(State::TimeWait), true)
    );
    assert_eq!(rearmed.expires_in_ms, Some(59_000));
    set(&mut assembler, 221, None);
    assert_eq!(tick(&mut assembler, 220), []);
    let left = &tick(&mut assembler, 221)[0];
    assert_eq!(
        (left.substate, left.lasted_ms),
        (Some(State::TimeWait), Some(121_000))
    );
}

#[test]
fn time_asleep_is_no_sign_of_a_new_timer() {
    let mut assembler = assembler();
    told(&mut assembler, inferred(100, 60));
    assembler.surroundings().suspended_ns = 1000 * SECOND;
    set(&mut assembler, 1110, Some(50));
    assert_eq!(tick(&mut assembler, 1110), []);
    set(&mut assembler, 1161, None);
    assert_eq!(tick(&mut assembler, 1161)[0].reason, Some(Reason::Expired));
}

#[test]
fn an_end_that_was_not_told_is_found_in_the_end() {
    let mut assembler = assembler();
    told(&mut assembler, event(action::ENTER, 100, 60));
    set(&mut assembler, 191, None);
    assert_eq!(tick(&mut assembler, 189), [], "it may still be reported");
    let left = &tick(&mut assembler, 191)[0];
    assert_eq!((left.reason, left.inferred), (Some(Reason::Expired), true));
}

#[test]
fn where_none_can_be_looked_at_nothing_is_said() {
    let mut assembler = assembler();
    told(&mut assembler, inferred(100, 60));
    for at_s in 161..180 {
        assert_eq!(tick(&mut assembler, at_s), []);
    }
    // Long forgotten.
    set(&mut assembler, 180, None);
    assert_eq!(tick(&mut assembler, 500), []);
}

#[test]
fn all_that_are_due_are_looked_at() {
    const MANY: u64 = 200;
    let mut assembler = assembler();
    let mut rows = Vec::new();
    for number in 0..MANY {
        let mut raw = inferred(100, 60);
        raw.socket.sk = number + 1;
        raw.socket.remote.port = u16::try_from(number).unwrap() + 1;
        told(&mut assembler, raw);
        // Every third one cannot be looked at this time.
        if number % 3 != 0 {
            rows.push(Rechecked {
                tw: number + 1,
                boot_ns: 161 * SECOND,
                ..Rechecked::default()
            });
        }
    }
    assembler.surroundings().rechecked = rows;
    let left = tick(&mut assembler, 161);
    assert_eq!(left.len(), 133);
    assert!(left.iter().all(|left| left.remote.port % 3 != 1));
}

#[test]
fn a_second_one_of_the_same_connection_ends_the_first() {
    let mut assembler = assembler();
    told(&mut assembler, inferred(100, 60));
    let mut again = inferred(130, 60);
    again.socket.sk = 0xf01;
    again.socket.cookie = 78;
    let both = told(&mut assembler, again);
    assert_eq!(
        [both[0].action, both[1].action],
        [Action::Leave, Action::Enter]
    );
    assert_eq!((both[0].reason, both[0].inferred), (None, true));
    assert_eq!(both[0].lasted_ms, Some(30_000));
    // The end of the first, told late, is not the second's.
    let late = RawTimeWait {
        reason: reason::EXPIRED,
        ..event(action::LEAVE, 131, 0)
    };
    assert_eq!(told(&mut assembler, late)[0].lasted_ms, None);
    let mut second = event(action::LEAVE, 190, 0);
    second.socket.sk = 0xf01;
    assert_eq!(told(&mut assembler, second)[0].lasted_ms, Some(60_000));
}

#[test]
fn what_is_no_time_wait_gives_no_record() {
    let mut assembler = assembler();
    let mut nowhere = event(action::ENTER, 100, 60);
    nowhere.socket.remote = Endpoint::NONE;
    assert_eq!(told(&mut assembler, nowhere), []);
    assert_eq!(told(&mut assembler, event(99, 100, 60)), []);
    assert_eq!(assembler.evicted()["time_waits"], 0);
}

#[test]
fn who_left_it_is_remembered_from_its_beginning() {
    let mut assembler = assembler();
    told(&mut assembler, event(action::ENTER, 100, 60));
    let forgotten = |sk| {
        let mut leave = event(action::LEAVE, 161, -1);
        leave.owner = RawOwner::NONE;
        leave.socket.sk = sk;
        leave
    };
    // Another one of the same ends, and nothing is known about it.
    assert_eq!(told(&mut assembler, forgotten(0xabc))[0].owner, None);
    let left = &told(&mut assembler, forgotten(0xf00))[0];
    assert_eq!(left.owner.as_ref().unwrap().process.pid, 10);
}
