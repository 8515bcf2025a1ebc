//! Sockets: protocol, state, options, and the address that they are bound to.

use core::{fmt, net::IpAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A protocol that has ports, or the unix family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Proto {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// UDP-Lite.
    Udplite,
    /// Multipath TCP.
    Mptcp,
    /// SCTP.
    Sctp,
    /// ICMP ("ping") sockets.
    Icmp,
    /// Raw IP.
    Raw,
    /// The unix family.
    Unix,
    /// Another protocol of the Internet families.
    Other,
    /// The descriptor led to no socket, so it is not known.
    Unknown,
}

impl Proto {
    /// As JSON and text spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Udplite => "udplite",
            Self::Mptcp => "mptcp",
            Self::Sctp => "sctp",
            Self::Icmp => "icmp",
            Self::Raw => "raw",
            Self::Unix => "unix",
            Self::Other => "other",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Proto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// State of a blocking socket. The names are the kernel's (`include/net/tcp_states.h`); `Bound` is `TCP_CLOSE` with a port.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A listener.
    Listen,
    /// It has a port and neither listens nor is connected. Unconnected UDP sockets are always in this state.
    Bound,
    /// Connected.
    Established,
    /// `connect()` under way.
    SynSent,
    /// Half open.
    SynRecv,
    /// The peer has closed, this side has not.
    CloseWait,
    /// Closed, the FIN is not acknowledged.
    FinWait1,
    /// Closed, the peer has not closed.
    FinWait2,
    /// Closed by both, our FIN is not acknowledged.
    LastAck,
    /// Closed by both at once.
    Closing,
    /// A mini-socket that keeps the port after the connection.
    TimeWait,
}

impl State {
    /// As JSON spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Listen => "listen",
            Self::Bound => "bound",
            Self::Established => "established",
            Self::SynSent => "syn_sent",
            Self::SynRecv => "syn_recv",
            Self::CloseWait => "close_wait",
            Self::FinWait1 => "fin_wait1",
            Self::FinWait2 => "fin_wait2",
            Self::LastAck => "last_ack",
            Self::Closing => "closing",
            Self::TimeWait => "time_wait",
        }
    }
}

/// A socket option that takes part in the kernel's decision, or explains it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum SocketOption {
    /// `SO_REUSEADDR`.
    #[serde(rename = "SO_REUSEADDR")]
    ReuseAddr,
    /// `TCP_REPAIR` forces reuse.
    #[serde(rename = "TCP_REPAIR")]
    ForceReuse,
    /// `SO_REUSEPORT`.
    #[serde(rename = "SO_REUSEPORT")]
    ReusePort,
    /// A reuseport group or program is attached (`SO_ATTACH_REUSEPORT_EBPF` and `_CBPF`).
    #[serde(rename = "SO_ATTACH_REUSEPORT")]
    ReusePortGroup,
    /// `IPV6_V6ONLY`.
    #[serde(rename = "IPV6_V6ONLY")]
    V6Only,
}

/// A bound or connected address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Address {
    /// The IP address.
    pub addr: IpAddr,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        core::net::SocketAddr::new(self.addr, self.port).fmt(f)
    }
}

/// What the kernel's conflict rule looks at, of either socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// The address: of the binder as it asked for it, of the other socket as it is bound. Its family is the socket's.
    pub addr: IpAddr,
    /// `IPV6_V6ONLY`; meaningless for IPv4.
    pub v6only: bool,
    /// `SO_BINDTODEVICE`: interface index, 0 for none.
    pub device: u32,
    /// `sk_reuse`: 0, 1 for `SO_REUSEADDR`, 2 forced.
    pub reuse: u8,
    /// `SO_REUSEPORT`.
    pub reuseport: bool,
    /// The socket already has a reuseport group or program.
    pub reuseport_group: bool,
    /// The uid that the kernel compares; `None` when it could not be read. `TIME_WAIT` has none.
    pub uid: Option<u32>,
    /// State; of the binder, `Bound` before `listen()` and `Listen` in it.
    pub state: State,
}
