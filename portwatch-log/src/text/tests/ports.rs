use insta::assert_snapshot;

use super::*;
use portwatch_core::model::{
    port::{How, Port, Reason as Left},
    socket::{Proto, State},
    time_wait::{Action, Reason, ReusedBy, TimeWait},
};
use portwatch_core::samples::{address, entered, left, of_port, of_time_wait, released, taken};

#[test]
fn ports_are_one_line_each() {
    let udp = Port {
        proto: Proto::Udp,
        local: address("::", 53),
        owner: None,
        ..taken()
    };
    let connected = Port {
        how: Some(How::Connect),
        ..Port {
            remote: released().remote,
            ..taken()
        }
    };
    let accepted = |owner| Port {
        how: Some(How::Accept),
        remote: released().remote,
        owner,
        ..taken()
    };
    let unknown = Port {
        how: None,
        ..taken()
    };
    let unowned = Port {
        owner: None,
        how: Some(How::Connect),
        reason: Some(Left::Closed),
        ..released()
    };
    let all = [
        taken(),
        udp,
        connected,
        accepted(taken().owner),
        accepted(None),
        unknown.clone(),
        Port {
            owner: None,
            ..unknown
        },
        released(),
        unowned,
        Port {
            remote: None,
            reason: Some(Left::Closed),
            ..released()
        },
    ];
    assert_snapshot!(text(&all.map(of_port)), @"
    13:03:41.118  port   tcp   127.0.0.1:8080        taken by python3[3977] python3.service (bind)
    13:03:41.118  port   udp   [::]:53               taken (bind)
    13:03:41.118  port   tcp   127.0.0.1:8080 -> 127.0.0.1:40000  taken by python3[3977] python3.service (connect)
    13:03:41.118  port   tcp   127.0.0.1:8080 <-> 127.0.0.1:40000  taken for an incoming connection of python3[3977] python3.service
    13:03:41.118  port   tcp   127.0.0.1:8080 <-> 127.0.0.1:40000  taken for an incoming connection
    13:03:41.118  port   tcp   127.0.0.1:8080        taken by python3[3977] python3.service
    13:03:41.118  port   tcp   127.0.0.1:8080        taken
    13:03:41.118  port   tcp   127.0.0.1:8080 <-> 127.0.0.1:40000  released, previously held by python3[3977] python3.service (its TIME_WAIT keeps the port)
    13:03:41.118  port   tcp   127.0.0.1:8080 -> 127.0.0.1:40000  released
    13:03:41.118  port   tcp   127.0.0.1:8080        released, previously held by python3[3977] python3.service
    ");
}

#[test]
fn a_time_wait_is_told_from_its_beginning_to_its_end() {
    let fin_wait2 = TimeWait {
        substate: Some(State::FinWait2),
        owner: None,
        ..entered()
    };
    let rearmed = TimeWait {
        action: Action::Rearm,
        ..entered()
    };
    let found_rearmed = TimeWait {
        expires_in_ms: Some(59_400),
        inferred: true,
        ..rearmed.clone()
    };
    let all = [
        entered(),
        fin_wait2,
        rearmed,
        found_rearmed,
        left(Some(Reason::Expired)),
    ];
    assert_snapshot!(text(&all.map(of_time_wait)), @"
    13:03:41.118  TIME_WAIT    127.0.0.1:8080 <-> 127.0.0.1:40000  entered, its timer is set to 60 s  left by python3[3977] python3.service (exited)
    13:03:41.118  TIME_WAIT    127.0.0.1:8080 <-> 127.0.0.1:40000  entered, waits for the peer's FIN (FIN_WAIT2), its timer is set to 60 s
    13:03:41.118  TIME_WAIT    127.0.0.1:8080 <-> 127.0.0.1:40000  its timer is set again, to 60 s  left by python3[3977] python3.service (exited)
    13:03:41.118  TIME_WAIT    127.0.0.1:8080 <-> 127.0.0.1:40000  its timer was set again, 59 s are left (inferred)  left by python3[3977] python3.service (exited)
    13:03:41.118  TIME_WAIT    127.0.0.1:8080 <-> 127.0.0.1:40000  over after 60 s  left by python3[3977] python3.service (exited)
    ");
}

#[test]
fn what_is_inferred_says_so() {
    let expired = left(Some(Reason::Expired));
    let reused = |reused_by, inferred| TimeWait {
        reused_by,
        inferred,
        lasted_ms: Some(4_200),
        ..left(Some(Reason::Reused))
    };
    let all = [
        TimeWait {
            inferred: true,
            ..expired.clone()
        },
        TimeWait {
            lasted_ms: None,
            ..expired
        },
        left(Some(Reason::Killed)),
        reused(Some(ReusedBy::Syn), false),
        reused(Some(ReusedBy::Connect), true),
        reused(None, true),
        TimeWait {
            inferred: true,
            ..left(None)
        },
    ]
    .map(|time_wait| TimeWait {
        owner: None,
        ..time_wait
    });
    assert_snapshot!(text(&all.map(of_time_wait)), @"
    13:03:41.118  TIME_WAIT    127.0.0.1:8080 <-> 127.0.0.1:40000  over after at most 60 s (inferred)
    13:03:41.118  TIME_WAIT    127.0.0.1:8080 <-> 127.0.0.1:40000  over
    13:03:41.118  TIME_WAIT    127.0.0.1:8080 <-> 127.0.0.1:40000  ended from outside after 60 s
    13:03:41.118  TIME_WAIT    127.0.0.1:8080 <-> 127.0.0.1:40000  taken over by a new connection of the same peer (SYN) after 4.2 s
    13:03:41.118  TIME_WAIT    127.0.0.1:8080 <-> 127.0.0.1:40000  taken over by a new connection to the same peer (connect) after at most 4.2 s (inferred)
    13:03:41.118  TIME_WAIT    127.0.0.1:8080 <-> 127.0.0.1:40000  taken over by a new connection with the same peer after at most 4.2 s (inferred)
    13:03:41.118  TIME_WAIT    127.0.0.1:8080 <-> 127.0.0.1:40000  over after at most 60 s, it was not seen why
    ");
}
