//! Whether the existing sockets are what they are said to be: the rule treats many states alike, so that pairs alone would
//! not tell.

use std::{fs, net::Ipv4Addr};

use anyhow::{Context, Result, ensure};
use portwatch_core::verdict::rule::Transport;

use super::{
    kernel::Kernel,
    namespace::Namespace,
    pair::{Ask, End, Fate, Life, Pair, Plan},
    stage::stage,
};

const LISTEN: u8 = 10;

/// With the state as `include/net/tcp_states.h` numbers it; of a mini-socket its kind.
pub(super) const FATES: &[(Fate, u8)] = &[
    (Fate::Established, 1),
    (Fate::SynSent, 2),
    (Fate::FinWait1, 4),
    (Fate::HalfClosed, 5),
    (Fate::FinWait2, 5),
    (Fate::TimeWait, 6),
    (Fate::CloseWait, 8),
    (Fate::LastAck, 9),
    (Fate::Closing, 11),
];

/// Stages each life of a TCP socket, and looks it up.
pub(super) fn check(namespace: &mut Namespace, kernel: &Kernel) -> Result<()> {
    // What is bound and no more is not listed.
    let mut expected = vec![
        (Life::Bound, vec![]),
        (Life::Listening, vec![LISTEN]),
        (Life::Stopped, vec![]),
        (
            Life::Connection(End::Queued, Fate::Established),
            vec![LISTEN, 1],
        ),
    ];
    for &(fate, state) in FATES {
        let outgoing = [End::Bound, End::Picked];
        let incoming = [End::Accepted]
            .into_iter()
            .filter(|_| fate != Fate::SynSent);
        let ends = incoming.chain(outgoing);
        expected.extend(ends.map(|end| (Life::Connection(end, fate), vec![state])));
    }
    for (life, states) in expected {
        let plan = Plan::at(Ipv4Addr::LOCALHOST.into());
        let pair = Pair {
            transport: Transport::Tcp,
            existing: plan,
            life,
            over_ipv4: true,
            change: None,
            binder: plan,
            ask: Ask::Bind,
        };
        let port = namespace.port()?;
        let _staged = stage(&pair, port, namespace, kernel)?;
        let found = states_at(port)?;
        ensure!(
            found == states,
            "{life:?}: sockets in states {found:?}, not {states:?}"
        );
    }
    Ok(())
}

/// States of the IPv4 sockets with this local port, listeners first, as the kernel lists them.
fn states_at(port: u16) -> Result<Vec<u8>> {
    let path = "/proc/thread-self/net/tcp";
    let table = fs::read_to_string(path).context(path)?;
    let local = format!(":{port:04X}");
    let states = table.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let is_here = fields.next()?.ends_with(&local);
        let state = u8::from_str_radix(fields.nth(1)?, 16).ok()?;
        is_here.then_some(state)
    });
    Ok(states.collect())
}
