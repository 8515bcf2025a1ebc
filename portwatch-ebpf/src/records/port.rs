//! Records of ports: a process takes or releases one.

use portwatch_common::{
    event::{
        Kind,
        owner::{Owner, role},
        port::{Port, flag, how},
        socket::{Socket, flag as socket_flag},
    },
    maps::{port as bit, switch},
    offsets::SOCK_COMMON_LEN,
};

use crate::{
    kernel::sock::{self, Common},
    records::emit,
    state::{owners, ports},
};

/// True for a socket whose life is streamed: every socket on a port of `--port`. On a port that was only refused to
/// somebody, every socket except accepted connections: a listener may accept thousands in a second.
#[inline(always)]
pub fn is_streamed(socket: &Socket, owner: &Owner) -> bool {
    ports::has(socket.local.port, bit::ASKED) || how_of(socket, owner.roles) != how::UNKNOWN
}

/// Sends a record. A function of its own, which the verifier looks at once for all hooks.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn send_port(sk: u64, action: u32, how: u32) -> u32 {
    let mut common = [0; SOCK_COMMON_LEN];
    // SAFETY: a buffer of that length, which outlives the copy.
    let Some(common) = (unsafe { Common::copy(sk, common.as_mut_ptr()) }) else {
        return 0;
    };
    let Some(mut entry) = emit::reserve::<Port>() else {
        return 0;
    };
    let record = entry.as_mut_ptr();
    // SAFETY: the reserved memory is written in full before it is submitted; `fill` and `of` read none of it.
    unsafe {
        (*record).header = emit::header(Kind::Port, size_of::<Port>());
        sock::fill(sk, common, &mut (*record).socket);
        // The socket may have released the port already.
        (*record).socket.local.port = sock::last_port(sk);
        owners::of(&(*record).socket, &mut (*record).owner);
        (*record).action = action;
        (*record).how = if how == how::UNKNOWN {
            how_of(&(*record).socket, (*record).owner.roles)
        } else {
            how
        };
        (*record).flags = if ports::is_on(switch::PORTS_FROM_STATES) {
            flag::INFERRED
        } else {
            0
        };
        (*record).reserved = 0;
        let wanted = is_streamed(&(*record).socket, &(*record).owner);
        emit::submit_if(wanted, entry);
    }
    0
}

/// How a socket got its port, as far as the socket and its owner tell.
#[inline(always)]
fn how_of(socket: &Socket, roles: u32) -> u32 {
    // The kernel sets the lock at an explicit bind, and an accepted connection does not inherit it.
    if socket.flags & socket_flag::BINDPORT_LOCK != 0 || roles & role::BOUND != 0 {
        how::BIND
    } else if roles & role::CONNECTED != 0 || socket.flags & socket_flag::CONNECT_BIND != 0 {
        how::CONNECT
    } else {
        how::UNKNOWN
    }
}
