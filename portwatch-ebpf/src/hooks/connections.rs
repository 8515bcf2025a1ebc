//! Owners of connections: the processes that connect, accept and close.
//!
//! From tp_btf `inet_sock_set_state` and `security_sock_graft()`. Nothing later leads from a TIME_WAIT to a process:
//! the mini-socket has none, and at `tcp_time_wait()` `current` is any task that the packet interrupted.
//!
//! `current` is the connector at CLOSE -> SYN_SENT. It is the closer at ESTABLISHED -> FIN_WAIT1 and CLOSE_WAIT ->
//! LAST_ACK (`tcp_close_state()`), also when a process dies. At every other change it can be anybody.
//!
//! A connection between two local processes changes its state ten times, so each path ends as early as it can.

use aya_ebpf::{
    helpers::{
        bpf_get_current_uid_gid,
        generated::{bpf_get_socket_cookie, bpf_ktime_get_boot_ns},
    },
    macros::{btf_tracepoint, fentry},
    programs::{BtfTracePointContext, FEntryContext},
};
use portwatch_common::{
    endpoint::{AF_INET, AF_INET6},
    event::{
        owner::{Owner, role},
        port::{action, how},
        socket::state,
        time_wait,
    },
    maps::switch,
};

use crate::{
    hooks::debug_log::debug_log,
    kernel::{
        ehash,
        preempt::undisturbed,
        read::{bits, launder, read, typed},
        sock::BINDPORT_LOCK,
        task,
    },
    records::{port::send_port, process, time_wait::send_time_wait},
    state::{
        globals::{has, offset},
        owners::{self, By},
        ports::{is_on, is_watched},
        work::Context,
    },
};

/// TP_PROTO(const struct sock *sk, const int oldstate, const int newstate)
#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn set_state(ctx: BtfTracePointContext) -> i32 {
    undisturbed(|| {
        let old = ctx.arg::<u32>(1) as u8;
        let new = ctx.arg::<u32>(2) as u8;
        debug_log!(&ctx, "connection goes from state {} to {}", old, new);
        let role = match (old, new) {
            (state::CLOSE, state::SYN_SENT) => role::CONNECTED,
            (state::ESTABLISHED, state::FIN_WAIT1)
            | (state::CLOSE_WAIT, state::LAST_ACK)
            | (state::SYN_RECV, state::FIN_WAIT1) => role::CLOSED,
            // A listener loses its inode now and its port later, so its closer is recorded by its cookie. Where
            // addresses are keys it is not: nothing would drop the record when the address goes to another socket.
            (state::LISTEN, state::CLOSE) if has!(fn_socket_ptr_cookie) => role::CLOSED,
            (state::SYN_SENT | state::SYN_RECV, state::ESTABLISHED) => {
                return established(&ctx, old);
            }
            (_, state::CLOSE) => return closed(&ctx, old),
            _ => return 0,
        };
        // A port before the connection is from bind(), which has recorded the owner. An ephemeral one is chosen after
        // this change: `skc_num` is still 0.
        if role == role::CONNECTED && port(&ctx) != 0 {
            return 0;
        }
        let sk: *mut core::ffi::c_void = ctx.arg(0);
        let cookie = if has!(fn_socket_ptr_cookie) {
            // SAFETY: the tracepoint's own socket. The helper gives it a cookie if it has none, and its TIME_WAIT
            // inherits that.
            unsafe { bpf_get_socket_cookie(sk) }
        } else {
            launder(&ctx, 0)
        };
        record(Context::Btf as u32, cookie, u32::from(role as u8))
    })
}

/// `void security_sock_graft(struct sock *sk, struct socket *parent)`: `accept()` gets a connection.
///
/// `current` is the acceptor, also through `io_uring`. At `__inet_inherit_port()`, when the connection came about, it
/// was any task. The parameters of `inet_csk_accept()` differ between kernels; these do not.
#[fentry(function = "security_sock_graft")]
pub fn sock_graft(ctx: FEntryContext) -> i32 {
    undisturbed(|| {
        // The function is for sockets of every family.
        let sk: *mut core::ffi::c_void = ctx.arg(0);
        let family: u16 = read(sk as u64, offset!(skc_family));
        if family != AF_INET && family != AF_INET6 {
            return 0;
        }
        let cookie = if has!(fn_socket_ptr_cookie) {
            // SAFETY: the function's own socket.
            unsafe { bpf_get_socket_cookie(sk) }
        } else {
            launder(&ctx, 0)
        };
        record(Context::Graft as u32, cookie, role::ACCEPTED)
    })
}

/// Records the current process as owner. A function of its own, which the verifier looks at once for both hooks.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn record(context: u32, key: u64, role: u32) -> i32 {
    let current = task::Pointer::current();
    // `delayed_fput()` closes in a kworker: no owner is better than a kernel thread.
    if current.is_kernel_thread() {
        return 0;
    }
    // SAFETY: the helper has no conditions.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    let leader = current.leader();
    let start_boot_ns = leader.start_boot_ns();
    let mut owner = Owner {
        key,
        since_ns: if role == role::CONNECTED { now } else { 0 },
        closed_ns: if role == role::CLOSED { now } else { 0 },
        start_boot_ns,
        tgid: task::tgid(),
        ppid: leader.ppid(),
        uid: bpf_get_current_uid_gid() as u32,
        roles: role,
        comm: leader.comm(),
        seal: 0,
    };
    owners::set(By::Cookie, &mut owner);
    process::ensure(Context::of(context), start_boot_ns);
    0
}

/// The local port of the tracepoint's socket, whose type the verifier knows.
#[inline(always)]
fn port(ctx: &BtfTracePointContext) -> u16 {
    let at = offset!(skc_num);
    // SAFETY: an argument of the tracepoint.
    unsafe { typed(ctx.arg(0), at) }
}

/// The local port of one that may have released it already.
#[inline(always)]
fn port_at_last(ctx: &BtfTracePointContext) -> u16 {
    match port(ctx) {
        // As in `sock::last_port()`. Through a probe read: it lies beyond `struct sock`, where the type ends.
        0 => u16::from_be(read(ctx.arg(0), offset!(inet_sport))),
        port => port,
    }
}

/// A connection came about, outgoing or incoming. By now an outgoing one has its port.
#[inline(always)]
fn established(ctx: &BtfTracePointContext, old: u8) -> i32 {
    if is_on(switch::PORTS_FROM_STATES) && is_watched(port_at_last(ctx)) {
        let sk = launder(ctx, 0);
        let bound = bits(sk, offset!(sk_userlocks)) & BINDPORT_LOCK != 0;
        if old == state::SYN_RECV {
            send_port(sk, action::TAKEN, how::ACCEPT);
        } else {
            let action = if bound {
                action::CONNECTED
            } else {
                action::TAKEN
            };
            send_port(sk, action, how::CONNECT);
        }
    }
    0
}

/// A connection is over.
///
/// A TIME_WAIT never shows as a new state: FIN_WAIT2 or CLOSING goes to CLOSE, and a mini-socket is in the table by
/// then if one took its place. None did after a reset.
#[inline(always)]
fn closed(ctx: &BtfTracePointContext, old: u8) -> i32 {
    // The usual end: nothing to report, and nothing to drop.
    let watched = is_watched(port_at_last(ctx));
    if !watched && has!(fn_socket_ptr_cookie) {
        return 0;
    }
    let sk = launder(ctx, 0);
    let inferred = watched && is_on(switch::TIME_WAITS_FROM_STATES);
    if matches!(old, state::FIN_WAIT2 | state::CLOSING) && (inferred || !has!(fn_socket_ptr_cookie))
    {
        let tw = successor(sk);
        if inferred && tw != 0 {
            send_time_wait(
                tw,
                time_wait::action::ENTER,
                time_wait::reason::UNKNOWN,
                time_wait::flag::INFERRED,
            );
        }
    }
    // A bound socket keeps its port until it is destroyed (`destroy_sock`).
    if watched
        && is_on(switch::PORTS_FROM_STATES)
        && bits(sk, offset!(sk_userlocks)) & BINDPORT_LOCK == 0
    {
        send_port(sk, action::RELEASED, how::UNKNOWN);
    }
    owners::forget(sk);
    0
}

/// The mini-socket that took a connection's place, or 0, with the connection's owner. A function of its own, for the
/// stack.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn successor(sk: u64) -> u64 {
    let tw = ehash::time_wait_of(sk);
    owners::inherit(sk, tw);
    tw
}
