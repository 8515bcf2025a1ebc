//! Verdicts on refusals that no other socket has a part in.
//!
//! Each stage is checked before the port, so what would be left to refuse the call after it is not known:
//! `would_succeed_if` stays empty.

use crate::model::{
    attempt::{Attempt, Op, Stage},
    verdict::{Cause, Certainty, Verdict},
};
use crate::prelude::*;
use crate::words::errno;

use crate::verdict::{rule::Transport, words::name};

/// What the checks of the address refuse, as far as the errno and the facts prove it.
enum Reason {
    Privileged { port: u16, start: u32 },
    NotLocal,
    AlreadyBound,
}

impl Reason {
    fn of(attempt: &Attempt) -> Option<Self> {
        Transport::of(attempt.proto)?;
        if attempt.op != Op::Bind || attempt.facts.entry_unseen {
            return None;
        }
        match attempt.errno.cast_signed() {
            errno::EACCES => privileged(attempt),
            errno::EADDRNOTAVAIL => Some(Self::NotLocal),
            errno::EINVAL if attempt.facts.already_bound => Some(Self::AlreadyBound),
            _ => None,
        }
    }
}

/// True if the errno and the facts prove that the checks of the address refused.
pub(in crate::verdict) fn is_by_address(attempt: &Attempt) -> bool {
    Reason::of(attempt).is_some()
}

/// The verdict on a failure with another errno than `EADDRINUSE`; `None` where the errno says everything there is.
pub(in crate::verdict) fn verdict(attempt: &Attempt) -> Option<Verdict> {
    if attempt.stage.is_some_and(|stage| stage != Stage::Address) {
        return None;
    }
    match Reason::of(attempt)? {
        Reason::Privileged { port, start } => Some(privileged_port(attempt, port, start)),
        Reason::NotLocal => Some(address_not_local(attempt)),
        Reason::AlreadyBound => Some(already_bound(attempt)),
    }
}

fn privileged(attempt: &Attempt) -> Option<Reason> {
    let port = attempt.port.filter(|port| *port != 0)?;
    let start = attempt.facts.unprivileged_port_start?;
    (u32::from(port) < start && !attempt.facts.cap_net_bind_service)
        .then_some(Reason::Privileged { port, start })
}

/// What was read about the socket when the call returned is as fresh as a walk, and no more certain.
fn verdict_of(cause: Cause, summary: String, because: String, remedies: Vec<String>) -> Verdict {
    Verdict {
        cause,
        also: Vec::new(),
        confidence: Certainty::Walked,
        summary,
        because,
        remedies,
        would_succeed_if: Vec::new(),
    }
}

fn privileged_port(attempt: &Attempt, port: u16, start: u32) -> Verdict {
    let who = name::caller(attempt);
    verdict_of(
        Cause::PrivilegedPort,
        format!("port {port} is below {start}, and {who} lacks CAP_NET_BIND_SERVICE"),
        format!(
            "ports below net.ipv4.ip_unprivileged_port_start ({start}) need CAP_NET_BIND_SERVICE"
        ),
        vec![
            "give the program CAP_NET_BIND_SERVICE (in a systemd unit: \
             AmbientCapabilities=CAP_NET_BIND_SERVICE)"
                .to_owned(),
            format!("use a port from {start} on"),
            format!(
                "lower net.ipv4.ip_unprivileged_port_start to {port} in this network namespace"
            ),
        ],
    )
}

fn address_not_local(attempt: &Attempt) -> Verdict {
    let addr = attempt
        .addr
        .as_deref()
        .map_or_else(|| "the address".to_owned(), name::text);
    let device = attempt
        .device
        .as_deref()
        .map(|device| format!(" on {}", name::text(device)));
    let device = device.unwrap_or_default();
    verdict_of(
        Cause::AddressNotLocal,
        format!("{addr} is not a local address in this network namespace{device}"),
        "bind() takes an address that is assigned here (and, for IPv6, has passed duplicate address \
         detection), unless IP_FREEBIND or net.ipv4.ip_nonlocal_bind allows others"
            .to_owned(),
        vec![
            format!("assign {addr} here first, or run the program in the network namespace that has it"),
            "set IP_FREEBIND on the socket before bind() if the address is to come later".to_owned(),
        ],
    )
}

fn already_bound(attempt: &Attempt) -> Verdict {
    let port = attempt.bound_port.filter(|port| *port != 0);
    let port = port.map_or_else(|| "a port".to_owned(), |port| format!("port {port}"));
    verdict_of(
        Cause::AlreadyBound,
        format!(
            "{} called bind() on a socket that already has {port}",
            name::caller(attempt)
        ),
        "a socket can be bound once, and not after connect()".to_owned(),
        vec!["bind each socket once, and make a new socket for another address".to_owned()],
    )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        model::{
            attempt::Facts,
            socket::{Proto, SocketOption},
        },
        verdict::testing::bind,
    };

    fn refused(errno: i32, port: u16, facts: Facts) -> Attempt {
        Attempt {
            errno: errno.cast_unsigned(),
            facts,
            ..bind("10.0.0.5", port, &[])
        }
    }

    fn facts() -> Facts {
        Facts {
            unprivileged_port_start: Some(1024),
            ..Facts::default()
        }
    }

    #[test]
    fn a_privileged_port_is_named() {
        let attempt = refused(errno::EACCES, 80, facts()).judged();
        let verdict = attempt.verdict();
        assert_eq!(verdict.cause, Cause::PrivilegedPort);
        assert_eq!(
            verdict.summary,
            "port 80 is below 1024, and node[4182] lacks CAP_NET_BIND_SERVICE"
        );
        assert!(
            verdict
                .remedies
                .iter()
                .any(|remedy| remedy.contains("CAP_NET_BIND_SERVICE"))
        );
    }

    #[test]
    fn an_address_that_is_not_here_is_named() {
        let attempt = refused(errno::EADDRNOTAVAIL, 80, facts()).judged();
        assert_eq!(attempt.verdict().cause, Cause::AddressNotLocal);
        assert!(
            attempt
                .verdict()
                .summary
                .starts_with("10.0.0.5 is not a local address")
        );
    }

    #[test]
    fn a_second_bind_is_named() {
        let mut attempt = refused(
            errno::EINVAL,
            8080,
            Facts {
                already_bound: true,
                ..Facts::default()
            },
        );
        attempt.bound_port = Some(9090);
        let attempt = attempt.judged();
        assert_eq!(attempt.verdict().cause, Cause::AlreadyBound);
        assert!(attempt.verdict().summary.ends_with("already has port 9090"));
    }

    #[rstest]
    #[case::unprivileged(errno::EACCES, 1024, facts())]
    #[case::any_port(errno::EACCES, 0, facts())]
    #[case::capable(errno::EACCES, 80, Facts { cap_net_bind_service: true, ..facts() })]
    #[case::unknown_start(errno::EACCES, 80, Facts::default())]
    #[case::other_reason(errno::EINVAL, 80, facts())]
    fn what_is_not_known_is_not_said(#[case] errno: i32, #[case] port: u16, #[case] facts: Facts) {
        let attempt = refused(errno, port, facts).judged();
        assert_eq!(attempt.failure.unwrap().verdict, None);
    }

    #[rstest]
    #[case(Proto::Unix)]
    #[case(Proto::Sctp)]
    #[case(Proto::Unknown)]
    fn other_protocols_have_other_rules(#[case] proto: Proto) {
        let attempt = Attempt {
            proto,
            options: vec![SocketOption::ReuseAddr],
            ..refused(errno::EACCES, 80, facts())
        };
        assert_eq!(attempt.judged().failure.unwrap().verdict, None);
    }
}
