//! What sort of thing a blocker is, in the order in which one would act on it.

use crate::model::{attempt::Blocker, socket::State};

use super::Transport;

/// Sorts of blockers, the most actionable first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::verdict) enum Kind {
    /// A listener. UDP has none: there, any socket that somebody bound.
    Listener,
    /// It has the port and neither listens nor is connected.
    Bound,
    /// A connection that a process can reach, or a UDP socket whose port the kernel picked.
    Connection,
    /// A connection without a `struct socket`: closed and still finishing, or not accepted yet.
    Detached,
    /// A `TIME_WAIT` mini-socket.
    TimeWait,
}

impl Kind {
    pub(in crate::verdict) fn of(transport: Transport, blocker: &Blocker) -> Self {
        match (blocker.state, transport) {
            (State::TimeWait, _) => Self::TimeWait,
            (State::Listen, _) => Self::Listener,
            (_, Transport::Udp) if is_outgoing(transport, blocker) => Self::Connection,
            (_, Transport::Udp) => Self::Listener,
            (State::Bound, Transport::Tcp) => Self::Bound,
            _ if is_detached(blocker) => Self::Detached,
            _ => Self::Connection,
        }
    }
}

/// True if the kernel picked the port for an outgoing connection.
///
/// A connected UDP socket whose program chose no port is that too: nothing accepts UDP connections.
pub(in crate::verdict) fn is_outgoing(transport: Transport, blocker: &Blocker) -> bool {
    blocker.connected_out == Some(true)
        || (transport == Transport::Udp
            && blocker.state == State::Established
            && blocker.port_bound == Some(false))
        // Nothing but connect() makes such a connection.
        || (is_to_itself(blocker) && blocker.port_bound == Some(false))
}

/// True for a TCP connection whose two ends are one socket: `connect()` had for its source port the one that it was to
/// reach, so its SYN met itself (a simultaneous open, `tcp_rcv_synsent_state_process` of `net/ipv4/tcp_input.c`).
pub(in crate::verdict) fn is_to_itself(blocker: &Blocker) -> bool {
    blocker.state == State::Established && blocker.remote == Some(blocker.local)
}

fn is_detached(blocker: &Blocker) -> bool {
    blocker.inode.is_none() && blocker.holders.is_empty() && !blocker.kernel_socket
}

/// True for a closed connection that is still finishing: the kernel leaves these states to nobody's hands.
///
/// A detached socket in another state waits in a listener's queue: `accept()` makes the `struct socket`.
pub(in crate::verdict) const fn is_finishing(state: State) -> bool {
    matches!(
        state,
        State::FinWait1 | State::FinWait2 | State::LastAck | State::Closing
    )
}
