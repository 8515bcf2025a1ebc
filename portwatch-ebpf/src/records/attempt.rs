//! The record of an attempt, put together when its call has returned.
//!
//! Only then has the kernel decided. [`begin`] has the arguments; this adds the task, the socket and, if the port was
//! taken, the walk.

use portwatch_common::{
    counters::Counter,
    endpoint::{AF_INET, AF_INET6, AF_UNSPEC, Endpoint},
    event::{
        Kind,
        attempt::{Attempt, CANDIDATES, Candidate, Conflict, Netns, flag, op},
        owner::{Owner, role},
        port::{action, how},
        socket::Socket,
    },
    maps::port as bit,
};

use crate::{
    kernel::{
        bucket,
        read::read,
        sock::{self, Common, IPPROTO_MPTCP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE, Known},
        task,
    },
    records::{emit, filter, port, process},
    state::{
        counters::count,
        globals::{config, has, offset},
        index,
        owners::{self, By},
        ports,
        work::{Context, Work},
    },
};

pub mod begin;

const EADDRINUSE: u32 = 98;

/// Completes a record that was begun, and sends it.
///
/// Its parts are functions of their own, called one after the other: up to 6.12, functions that call each other share
/// 512 bytes of stack.
#[inline(always)]
pub fn complete(context: Context, sk: u64) {
    let Some(work) = Work::of(context as u32) else {
        return;
    };
    // Before anything can fail: every attempt seen must be submitted, lost or filtered in the end.
    count(Counter::Seen);
    let what = compose(context as u32, sk);
    // SAFETY: a valid per-CPU value, which no program of another context touches.
    let start_boot_ns = unsafe { (*work).conflict.attempt.task.start_boot_ns };
    // The process first: user space resolves an attempt's process when it reads the attempt.
    process::ensure(context, start_boot_ns);
    if what & TAKEN != 0 {
        port::send_port(sk, action::TAKEN, how::BIND);
    }
    if what & WANTED != 0 {
        send(context, work, sk);
    }
}

/// Answers of [`compose`]: no filter leaves the attempt out; it took a watched port.
const WANTED: u32 = 1 << 0;
const TAKEN: u32 = 1 << 1;

/// Puts the record together, except for the walk.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn compose(context: u32, sk: u64) -> u32 {
    let Some(work) = Work::of(context) else {
        return 0;
    };
    // SAFETY: a valid per-CPU value, which no program of another context touches.
    let work = unsafe { &mut *work };
    let attempt = &mut work.conflict.attempt;
    attempt.netns = Netns::NONE;
    work.net = 0;
    let net = task::fill(&mut attempt.task);
    let untold = filter::leaves_out_success(attempt, sk);
    let known = Known {
        socket: work.socket,
        net,
        netns: attempt.task.netns,
        untold,
    };
    // SAFETY: the buffer is a map value of that length.
    match unsafe { Common::copy(sk, work.common.as_mut_ptr()) } {
        Some(common) if sk != 0 => {
            sock::fill_known(sk, common, known, &mut attempt.socket);
            work.net = common.net();
        }
        _ => {
            attempt.socket = Socket::NONE;
            attempt.flags |= flag::NO_SOCKET;
        }
    }
    requested(attempt);
    // Filters apply to records only. An attempt that is filtered still gets the port, and may block another one later.
    let mut what = 0;
    if attempt.errno == 0 {
        what = remember(attempt);
    } else if attempt.requested.port != 0 {
        // The first refusal marks the port as watched: portwatch then knows the port's history at the next one.
        let bits = if attempt.errno == EADDRINUSE {
            bit::FAILED | bit::REFUSED
        } else {
            bit::FAILED
        };
        ports::mark(attempt.requested.port, bits);
    }
    if untold || !filter::wanted(attempt) {
        count(Counter::Filtered);
        return what;
    }
    namespace(sk, work.net, attempt);
    what | WANTED
}

/// Stores the owner of a port from now on. [`TAKEN`] if that is to be reported.
#[inline(always)]
fn remember(attempt: &Attempt) -> u32 {
    let socket = &attempt.socket;
    if !is_inet(socket) || socket.local.port == 0 {
        return 0;
    }
    // The entry's time and not the return's: a connection can come in before the call returns, and must not look older.
    let since_ns = attempt.enter_ns;
    let listens = attempt.op != op::BIND;
    if is_tcp(socket) {
        index::insert(socket, if listens { since_ns } else { 0 }, |sk| {
            !sock::is_bound_alone(sk, socket.local.port)
        });
    }
    // The process that bound a listener owns its port since then, whichever process called listen().
    if attempt.op == op::LISTEN {
        return 0;
    }
    let mut owner = Owner {
        key: socket.inode,
        since_ns,
        closed_ns: 0,
        start_boot_ns: attempt.task.start_boot_ns,
        tgid: attempt.task.tgid,
        ppid: attempt.task.ppid,
        uid: attempt.task.uid,
        roles: role::BOUND,
        comm: attempt.task.leader_comm,
        seal: 0,
    };
    owners::set(By::Inode, &mut owner);
    // A closed socket loses its inode, and keeps its cookie to the end: orphans and TIME_WAITs are found by that.
    if has!(fn_socket_ptr_cookie) && socket.cookie != 0 {
        owner.key = socket.cookie;
        owners::set(By::Cookie, &mut owner);
    }
    if ports::is_watched(socket.local.port) {
        TAKEN
    } else {
        0
    }
}

#[inline(always)]
fn is_inet(socket: &Socket) -> bool {
    socket.local.family == AF_INET || socket.local.family == AF_INET6
}

#[inline(always)]
fn is_tcp(socket: &Socket) -> bool {
    socket.protocol == IPPROTO_TCP || socket.protocol == IPPROTO_MPTCP
}

/// Fills in the requested address: the caller's of `bind()`, the socket's of `listen()`.
///
/// Not the socket's of `bind()`: a refusal has reset it, and a program of the control group can rewrite it.
#[inline(always)]
fn requested(attempt: &mut Attempt) {
    if attempt.op != op::BIND {
        attempt.requested = attempt.socket.local;
        if attempt.op == op::AUTOBIND {
            attempt.requested.port = 0;
        }
        return;
    }
    let s = &attempt.sockaddr;
    let r = &mut attempt.requested;
    *r = Endpoint::NONE;
    if attempt.flags & flag::ADDRESS_UNREAD != 0 {
        return;
    }
    r.family = u16::from_ne_bytes([s[0], s[1]]);
    // `__inet_bind()` accepts AF_UNSPEC for AF_INET, with INADDR_ANY.
    if r.family == AF_UNSPEC && attempt.socket.local.family == AF_INET {
        r.family = AF_INET;
    }
    if r.family == AF_INET || r.family == AF_INET6 {
        r.port = u16::from_be_bytes([s[2], s[3]]);
    }
    if r.family == AF_INET {
        r.addr[0] = s[4];
        r.addr[1] = s[5];
        r.addr[2] = s[6];
        r.addr[3] = s[7];
    } else if r.family == AF_INET6 {
        let mut i = 0;
        while i < 16 {
            r.addr[i] = s[8 + i];
            i += 1;
        }
        r.scope_id = u32::from_ne_bytes([s[24], s[25], s[26], s[27]]);
    }
}

/// Fills in the namespace's settings that explain a failure.
#[inline(always)]
fn namespace(sk: u64, net: u64, attempt: &mut Attempt) {
    if attempt.errno == 0 || net == 0 || !has!(net_port_range) {
        return;
    }
    // A seqlock guards two `int`s before 6.8. Without it, a read during a change may have one old half.
    let (low, high) = if config!(port_range_packed) != 0 {
        let range: u32 = read(net, offset!(net_port_range));
        (range as u16, (range >> 16) as u16)
    } else {
        let low: u32 = read(net, offset!(net_port_range));
        let high: u32 = read(net, offset!(net_port_range) + 4);
        (low as u16, high as u16)
    };
    // IP_LOCAL_PORT_RANGE (6.3): each half counts if it lies within the namespace's (`inet_sk_get_local_port_range()`).
    let own: u32 = if is_inet(&attempt.socket) {
        read(sk, offset!(local_port_range))
    } else {
        0
    };
    let (own_low, own_high) = (own as u16, (own >> 16) as u16);
    let within = |port: u16| port != 0 && low <= port && port <= high;
    attempt.netns.range_low = if within(own_low) { own_low } else { low };
    attempt.netns.range_high = if within(own_high) { own_high } else { high };
    attempt.netns.unprivileged_port_start = read::<u32>(net, offset!(net_unprivileged_start));
    let bitmap: u64 = read(net, offset!(net_reserved_ports));
    let port = u64::from(attempt.requested.port);
    if bitmap != 0 && read::<u64>(bitmap + port / 64 * 8, 0) >> (port % 64) & 1 != 0 {
        attempt.flags |= flag::PORT_RESERVED;
    }
    attempt.flags |= flag::NETNS_READ;
}

/// Walks the bind table if the port was taken, and sends the record.
#[inline(always)]
fn send(context: Context, work: *mut Work, sk: u64) {
    // SAFETY: a valid per-CPU value, which no program of another context touches. The reference ends before the walk,
    // whose steps write to it.
    let (walk, udp, port, failed, net) = unsafe {
        let attempt = &(*work).conflict.attempt;
        let protocol = attempt.socket.protocol;
        let udp = protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE;
        // Nothing to walk in other families: a file or an abstract name is the conflict there.
        let walk = attempt.errno == EADDRINUSE
            && is_inet(&attempt.socket)
            && (udp || is_tcp(&attempt.socket));
        (
            walk,
            udp,
            attempt.requested.port,
            attempt.errno != 0,
            (*work).net,
        )
    };
    let mut len = size_of::<Attempt>();
    let mut kind = Kind::Attempt;
    if walk {
        // SAFETY: no reference to the work area lives.
        let mut kept = unsafe {
            bucket::walk(context, work, sk, net, port, udp);
            (*work).conflict.walk.candidates_len as usize
        };
        // For the verifier, which knows nothing of what the steps wrote into the map.
        if kept > CANDIDATES {
            kept = CANDIDATES;
        }
        // Candidates are the last member: only those that were kept are sent.
        len = size_of::<Conflict>() - (CANDIDATES - kept) * size_of::<Candidate>();
        kind = Kind::Conflict;
    }
    // SAFETY: as above; `len` is at most the size of `Conflict`, and its fields up to there have been written.
    unsafe {
        (*work).conflict.attempt.header = emit::header(kind, len);
        emit::submit(
            (&raw const (*work).conflict).cast(),
            len as u64,
            failed,
            Counter::Submitted,
            Counter::Lost,
        );
    }
}
