//! The choice of sockets of a bucket that go into the record, when there are more than fit.
//!
//! No policy: user space judges each socket by the kernel's whole rule. Here the sockets that can conflict only get
//! places before the thousands that cannot.

use portwatch_common::{
    endpoint::{AF_INET, AF_INET6, Endpoint},
    event::{
        attempt::{CANDIDATES, Candidate, walk},
        socket::{flag, state},
    },
    maps::INDEX_WAYS,
};

use crate::{
    kernel::sock::{self, Common},
    state::{owners, work::Work},
};

/// Quota of sockets that can conflict and are not `TIME_WAIT`.
const LIVE: u32 = 10;
/// Quota of `TIME_WAIT`s that can conflict.
const TIME_WAIT: u32 = 4;
/// Quota of sockets that cannot conflict.
const HARMLESS: u32 = 2;

const _: () = assert!((LIVE + TIME_WAIT + HARMLESS) as usize == CANDIDATES);
const _: () = assert!(CANDIDATES.is_power_of_two());

/// A place within the array. The quotas guarantee that, but 5.10 and 6.1 forget the bounds of a number that was
/// compared in another register.
#[inline(always)]
fn masked(place: u32) -> usize {
    place as usize & (CANDIDATES - 1)
}

/// Keeps a socket if its kind's quota has room.
#[inline(always)]
pub fn keep(work: &mut Work, sk: u64, common: Common, from_index: u32) {
    let len = work.conflict.walk.candidates_len;
    // The index comes before the walk, and both find the same socket.
    if from_index == 0 && already_kept(work, sk) {
        return;
    }
    let time_wait = common.state() == state::TIME_WAIT;
    let cursor = &mut work.cursor;
    let mut place = len;
    if !can_conflict(&work.conflict.attempt, common, cursor.udp != 0) {
        if cursor.harmless >= HARMLESS {
            return;
        }
        cursor.harmless += 1;
    } else if time_wait {
        if cursor.time_wait >= TIME_WAIT {
            // The last place of the quota goes to the TIME_WAIT that ends last: it tells how long to wait.
            work.conflict.walk.flags |= walk::CANDIDATES_TRUNCATED;
            place = cursor.last_time_wait;
            if !ends_later(work, sk, place) {
                return;
            }
        } else {
            cursor.time_wait += 1;
            cursor.last_time_wait = len;
        }
    } else if cursor.live >= LIVE {
        work.conflict.walk.flags |= walk::CANDIDATES_TRUNCATED;
        // Listeners and bound sockets take the place of a connection: there are few, and they block more callers.
        if !matches!(common.state(), state::LISTEN | state::CLOSE) {
            return;
        }
        place = cursor.last_live;
    } else {
        cursor.live += 1;
        cursor.last_live = len;
    }
    let connect_only = work.cursor.connect_only != 0;
    let kept: &mut Candidate = &mut work.conflict.walk.candidates[masked(place)];
    sock::fill(sk, common, &mut kept.socket);
    if connect_only {
        kept.socket.flags |= flag::BUCKET_CONNECT_ONLY;
    }
    if from_index != 0 {
        kept.socket.flags |= flag::FROM_INDEX;
    }
    owners::of(&kept.socket, &mut kept.owner);
    if place == len {
        work.conflict.walk.candidates_len = len + 1;
    }
}

#[inline(always)]
fn already_kept(work: &Work, sk: u64) -> bool {
    let walk = &work.conflict.walk;
    for (at, candidate) in walk.candidates[..INDEX_WAYS].iter().enumerate() {
        // Places beyond are left from an earlier attempt.
        if at as u32 >= walk.candidates_len {
            return false;
        }
        if candidate.socket.sk == sk {
            return true;
        }
    }
    false
}

#[inline(always)]
fn ends_later(work: &Work, tw: u64, than: u32) -> bool {
    sock::expires_in_jiffies(tw)
        > work.conflict.walk.candidates[masked(than)]
            .socket
            .expires_in_jiffies
}

/// False only where the kernel's rule cannot refuse: addresses or devices differ, or both sockets allow reuse.
///
/// In doubt true, because a harmless socket too many does less than a blocker too few.
#[inline(always)]
fn can_conflict(
    attempt: &portwatch_common::event::attempt::Attempt,
    other: Common,
    udp: bool,
) -> bool {
    let binder = &attempt.socket;
    let device = other.bound_dev_if();
    if binder.bound_dev_if != 0 && device != 0 && binder.bound_dev_if != device {
        return false;
    }
    // SO_REUSEADDR on both allows all but a listener; for UDP the kernel looks at no state.
    let listens = other.state() == state::LISTEN;
    if binder.reuse != 0 && other.reuse() != 0 && (udp || !listens) {
        return false;
    }
    // SO_REUSEPORT on both allows, if the users are the same. Only a TIME_WAIT is spared that comparison, so only there
    // it is decided here. A binder that is in a group already may not join another.
    if other.state() == state::TIME_WAIT
        && binder.flags & flag::REUSEPORT != 0
        && other.reuseport()
        && binder.flags & flag::REUSEPORT_CB == 0
    {
        return false;
    }
    let mut local = Endpoint::NONE;
    other.local(&mut local);
    overlaps(
        &attempt.requested,
        binder.flags & flag::V6ONLY != 0,
        &local,
        other.v6only(),
    )
}

/// `inet_rcv_saddr_equal(.., match_wildcard = true)`. Wider where IPv4 meets IPv6: user space decides there.
#[inline(always)]
fn overlaps(a: &Endpoint, a_v6only: bool, b: &Endpoint, b_v6only: bool) -> bool {
    if a.family != b.family {
        let (v4, v6, v6only) = if a.family == AF_INET6 {
            (b, a, a_v6only)
        } else {
            (a, b, b_v6only)
        };
        return !v6only && (is_zero(v4) || is_zero(v6) || is_mapped(v6));
    }
    if is_zero(a) || is_zero(b) {
        return true;
    }
    if a.family == AF_INET {
        word(a, 0) == word(b, 0)
    } else {
        is_mapped(a) || is_mapped(b) || halves(a) == halves(b)
    }
}

#[inline(always)]
fn word(endpoint: &Endpoint, at: usize) -> u32 {
    u32::from_ne_bytes([
        endpoint.addr[at],
        endpoint.addr[at + 1],
        endpoint.addr[at + 2],
        endpoint.addr[at + 3],
    ])
}

#[inline(always)]
fn halves(e: &Endpoint) -> (u64, u64) {
    let low = u64::from(word(e, 0)) | u64::from(word(e, 4)) << 32;
    (low, u64::from(word(e, 8)) | u64::from(word(e, 12)) << 32)
}

#[inline(always)]
fn is_zero(e: &Endpoint) -> bool {
    halves(e) == (0, 0)
}

#[inline(always)]
fn is_mapped(e: &Endpoint) -> bool {
    word(e, 0) == 0 && word(e, 4) == 0 && word(e, 8) == 0xffff_0000u32.to_le()
}
