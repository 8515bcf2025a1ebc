//! What becomes of a connection.

use std::net::{Shutdown, TcpStream};

use anyhow::Result;
use portwatch_core::model::socket::State;

use super::{
    pair::Fate,
    socket::{acknowledge, await_end, await_tcp, fill},
};

/// As `include/net/tcp_states.h` numbers them.
const TCP_FIN_WAIT2: u8 = 5;
const TCP_CLOSE: u8 = 7;

/// A connection that has become what it was to be.
pub(super) struct Grown {
    /// State of our end.
    pub(super) state: State,
    /// Our end, if it is open.
    pub(super) own: Option<TcpStream>,
    /// The other one. It stays open: what it would still send would change our end.
    pub(super) peer: TcpStream,
}

/// Leads an established connection to its fate.
pub(super) fn grow(fate: Fate, mut own: TcpStream, mut peer: TcpStream) -> Result<Grown> {
    let open = match fate {
        Fate::SynSent | Fate::Established => Some(State::Established),
        Fate::CloseWait => {
            half_close(&peer, &mut own)?;
            Some(State::CloseWait)
        }
        Fate::HalfClosed => {
            half_close(&own, &mut peer)?;
            acknowledge(&peer)?;
            await_tcp(&own, TCP_FIN_WAIT2)?;
            Some(State::FinWait2)
        }
        Fate::FinWait1 | Fate::Closing | Fate::LastAck | Fate::FinWait2 | Fate::TimeWait => None,
    };
    if let Some(state) = open {
        return Ok(Grown {
            state,
            own: Some(own),
            peer,
        });
    }
    if fate == Fate::LastAck {
        half_close(&peer, &mut own)?;
    }
    if matches!(fate, Fate::FinWait1 | Fate::Closing | Fate::LastAck) {
        fill(&own, &peer)?;
    }
    drop(own);
    let state = match fate {
        Fate::LastAck => State::LastAck,
        Fate::Closing => {
            peer.shutdown(Shutdown::Write)?;
            // The FIN has arrived.
            await_tcp(&peer, TCP_FIN_WAIT2)?;
            State::Closing
        }
        Fate::FinWait2 => {
            await_end(&mut peer)?;
            // Else our end would wait for it in FIN_WAIT1 for some 40 ms.
            acknowledge(&peer)?;
            State::TimeWait
        }
        Fate::TimeWait => {
            half_close_after(&mut peer)?;
            State::TimeWait
        }
        _ => State::FinWait1,
    };
    Ok(Grown {
        state,
        own: None,
        peer,
    })
}

/// One end closes its side, and the other one sees it.
fn half_close(from: &TcpStream, to: &mut TcpStream) -> Result<()> {
    from.shutdown(Shutdown::Write)?;
    await_end(to)
}

/// The peer sees that our end is closed, and closes its side. It has when its FIN is acknowledged.
fn half_close_after(peer: &mut TcpStream) -> Result<()> {
    await_end(peer)?;
    peer.shutdown(Shutdown::Write)?;
    await_tcp(peer, TCP_CLOSE)
}
