//! An address and a port, as they stand in a socket or in a caller's `sockaddr`.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `AF_UNSPEC` of `socket(2)`.
pub const AF_UNSPEC: u16 = 0;
/// `AF_UNIX` of `socket(2)`.
pub const AF_UNIX: u16 = 1;
/// `AF_INET` of `socket(2)`.
pub const AF_INET: u16 = 2;
/// `AF_INET6` of `socket(2)`.
pub const AF_INET6: u16 = 10;

/// An IP address and port.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Endpoint {
    /// The address, network byte order; `AF_INET` uses the first four bytes and zeroes the rest.
    pub addr: [u8; 16],
    /// `AF_INET` or `AF_INET6`; 0 when nothing is known.
    pub family: u16,
    /// The port, host byte order.
    pub port: u16,
    /// `sin6_scope_id` as the caller gave it; 0 for IPv4 and where it is not known.
    pub scope_id: u32,
}

impl Endpoint {
    /// Nothing is known.
    pub const NONE: Self = Self {
        addr: [0; 16],
        family: 0,
        port: 0,
        scope_id: 0,
    };
}
