//! Filters: the attempts that the user wants to see.
//!
//! They run here and not in user space, so that a filtered attempt costs neither ring space nor a wake-up.

use portwatch_common::{
    config::proto, endpoint::AF_UNIX, event::attempt::Attempt, maps::port as bit,
};

use crate::{
    kernel::{
        read::read,
        sock::{IPPROTO_MPTCP, IPPROTO_TCP, IPPROTO_UDP},
    },
    state::{
        globals::{config, offset},
        ports,
    },
};

/// True if `--failures` leaves out an attempt on `sk` because it succeeded.
///
/// A success on a port that was refused before passes: it ends an episode. Asked before the socket is read in full, so
/// that reads can be saved that only a record needs.
#[inline(always)]
pub fn leaves_out_success(attempt: &Attempt, sk: u64) -> bool {
    config!(failures_only) != 0
        && attempt.errno == 0
        && !ports::has(read(sk, offset!(skc_num)), bit::FAILED)
}

/// True if no other filter leaves an attempt out.
#[inline(always)]
pub fn wanted(attempt: &Attempt) -> bool {
    let filter_tgid = config!(filter_tgid);
    if filter_tgid != 0 && filter_tgid != attempt.task.tgid {
        return false;
    }
    let protos = config!(filter_protos);
    if protos != 0 && protos & protocol(attempt) == 0 {
        return false;
    }
    if config!(filter_ports) != 0
        && !is_port_wanted(attempt.requested.port)
        && !is_port_wanted(attempt.socket.local.port)
    {
        return false;
    }
    if config!(filter_comm) != 0 {
        let wanted = config!(comm);
        if !is_equal(&attempt.task.comm, &wanted) && !is_equal(&attempt.task.leader_comm, &wanted) {
            return false;
        }
    }
    true
}

/// One comparison and not sixteen, each of which would be a branch for the verifier.
#[inline(always)]
fn is_equal(a: &[u8; 16], b: &[u8; 16]) -> bool {
    u128::from_ne_bytes(*a) == u128::from_ne_bytes(*b)
}

#[inline(always)]
fn protocol(attempt: &Attempt) -> u32 {
    if attempt.requested.family == AF_UNIX || attempt.socket.local.family == AF_UNIX {
        return proto::UNIX;
    }
    match attempt.socket.protocol {
        IPPROTO_TCP => proto::TCP,
        IPPROTO_UDP => proto::UDP,
        IPPROTO_MPTCP => proto::MPTCP,
        _ => proto::OTHER,
    }
}

#[inline(always)]
fn is_port_wanted(number: u16) -> bool {
    number != 0 && ports::has(number, bit::ASKED)
}
