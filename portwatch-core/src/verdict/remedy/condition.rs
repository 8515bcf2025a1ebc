//! What this very call would have succeeded with: each text completes "it would have succeeded if".

use crate::prelude::*;
use crate::verdict::{
    rule::{Transport, case::Case, kind::Kind},
    who::{inherited, keeper},
    words::name,
};

use super::{
    Change, Counterfactual,
    sockets::{self, Options},
};

/// The condition in words.
pub(super) fn condition(case: &Case<'_>, found: &Counterfactual) -> String {
    let mut conditions: Vec<String> = Vec::new();
    for change in &found.0 {
        let condition = match change {
            Change::ReuseAddrOnBinder | Change::ReuseAddrOnOthers => reuse_addr(case, found),
            Change::ReusePortOnBinder | Change::ReusePortOnOthers => reuse_port(case, found),
            Change::OneUser => one_user(case),
            Change::GroupLater => {
                "the reuseport program were attached only after this call".to_owned()
            }
            Change::V6OnlyOnBinder => "IPV6_V6ONLY were set on the new socket".to_owned(),
            Change::V6OnlyOnOthers => {
                let others: Vec<_> = case.uncleared().collect();
                format!("IPV6_V6ONLY were set on {}", sockets::sockets(&others))
            }
            Change::SpecificBinder => {
                format!("this call asked for {}", sockets::specific_address(case))
            }
            Change::SpecificOthers => format!(
                "{} were bound to a specific address other than {}",
                sockets::sockets(&sockets::wildcards(case)),
                case.requested.addr
            ),
            Change::Closed => closed(case),
            Change::Ended => "the conflicting connections had ended, TIME_WAIT included".to_owned(),
            Change::Expired => match sockets::time_left(case) {
                Some(left @ 1..) => {
                    format!("this call came at least {left} s later, when the TIME_WAIT had ended")
                }
                _ => "this call came when the TIME_WAIT had ended, which was due".to_owned(),
            },
        };
        // Changes of one option are one condition.
        if !conditions.contains(&condition) {
            conditions.push(condition);
        }
    }
    conditions.join(" and ")
}

fn reuse_addr(case: &Case<'_>, found: &Counterfactual) -> String {
    let on_binder = found.0.contains(&Change::ReuseAddrOnBinder);
    let binder = "SO_REUSEADDR were set on the new socket";
    let text = if found.0.contains(&Change::ReuseAddrOnOthers) {
        let lacking = sockets::without_reuse_addr(case);
        let others = match Options::of_all(&lacking) {
            Some(Options::Own) if on_binder => {
                return with_caveat(
                    case,
                    format!("{binder} and on {}", sockets::sockets(&lacking)),
                );
            }
            Some(Options::Own) => {
                format!("SO_REUSEADDR were set on {}", sockets::sockets(&lacking))
            }
            Some(Options::Client) => "the client had set SO_REUSEADDR before connect()".to_owned(),
            Some(Options::Copied) if lacking.iter().all(|other| other.is_accepted()) => {
                "the old server had set SO_REUSEADDR before it listened".to_owned()
            }
            Some(Options::Copied) | None => {
                "the conflicting sockets had had SO_REUSEADDR from the beginning".to_owned()
            }
        };
        if on_binder {
            format!("{others} and {binder}")
        } else {
            others
        }
    } else {
        binder.to_owned()
    };
    with_caveat(case, text)
}

fn with_caveat(case: &Case<'_>, text: String) -> String {
    match case.call.transport {
        Transport::Tcp => text,
        Transport::Udp => {
            format!("{text} (a datagram to one address then reaches only one of them)")
        }
    }
}

fn reuse_port(case: &Case<'_>, found: &Counterfactual) -> String {
    let has = |change| found.0.contains(&change);
    let theirs = || sockets::sockets(&sockets::without_reuse_port(case));
    match (
        has(Change::ReusePortOnBinder),
        has(Change::ReusePortOnOthers),
    ) {
        (true, true) => format!(
            "SO_REUSEPORT were set on the new socket and on {}",
            theirs()
        ),
        (false, true) => format!("SO_REUSEPORT were set on {}", theirs()),
        (_, false) => "SO_REUSEPORT were set on the new socket".to_owned(),
    }
}

fn one_user(case: &Case<'_>) -> String {
    let mut uids = case
        .uncleared()
        .filter(|other| other.kind != Kind::TimeWait)
        .map(|other| other.side.uid);
    match uids.next().flatten() {
        Some(uid) if uids.all(|other| other == Some(uid)) => {
            format!("the new socket were made by uid {uid} too")
        }
        _ => "all these sockets were made by one user".to_owned(),
    }
}

/// Where a close suffices, and the socket is open only in who would not have it then.
pub(super) fn closed_on_exec(case: &Case<'_>) -> Option<String> {
    let closing = sockets::closing(case);
    let [only] = closing[..] else { return None };
    let inherited = inherited::leak(only.blocker)?;
    let alone = sockets::processes(&closing)
        .iter()
        .all(|process| process.is_same(&inherited.to));
    let (from, to) = (&inherited.from, &inherited.to);
    (alone && !from.is_same(to)).then(|| {
        format!(
            "{} had set close-on-exec (SOCK_CLOEXEC) on the socket before {} was executed",
            name::process(from),
            name::process(to)
        )
    })
}

fn closed(case: &Case<'_>) -> String {
    let closing = sockets::closing(case);
    if let Some((other, kept)) = keeper::alone(&closing) {
        return keeper::condition(other, kept);
    }
    if keeper::is_among(&closing) {
        return format!("{} had all ended", sockets::names(&closing));
    }
    if let Some(descriptors) = sockets::own_descriptors(case, &closing) {
        return format!("this process had closed {descriptors} first");
    }
    if sockets::are_abandoned(&closing) {
        return format!("{} had been closed before", sockets::places(&closing));
    }
    let all = if sockets::processes(&closing).len() > 1 {
        " all"
    } else {
        ""
    };
    format!(
        "{}{all} had closed {}",
        sockets::names(&closing),
        sockets::places(&closing)
    )
}
