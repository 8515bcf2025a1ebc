//! Who connects, accepts and closes, through tp_btf `inet_sock_set_state` and `security_sock_graft()`.
//!
//! `current` is the connector at CLOSE -> SYN_SENT and the closer at ESTABLISHED -> FIN_WAIT1 and CLOSE_WAIT ->
//! LAST_ACK (`tcp_close_state()`), also when a process dies. At every other change it can be whoever the packet
//! interrupted.

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
    debug_log::debug_log,
    globals::{has, offset},
    maps::Context,
    owner::{self, By},
    port::{self, is_on, is_watched, send_port},
    preempt::undisturbed,
    process,
    read::{bits, launder, read},
    sock::BINDPORT_LOCK,
    task,
    time_wait::{of as time_wait_of, send_time_wait},
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
            // Its port is released later, when its inode is gone. Nothing would make an address forget it.
            (state::LISTEN, state::CLOSE) if has!(fn_socket_ptr_cookie) => role::CLOSED,
            (state::SYN_SENT | state::SYN_RECV, state::ESTABLISHED) => {
                return established(launder(&ctx, 0), old);
            }
            (_, state::CLOSE) => return closed(launder(&ctx, 0), old),
            _ => return 0,
        };
        let sk: *mut core::ffi::c_void = ctx.arg(0);
        // A port that it has before it connects is from bind(): whose that is has been recorded then.
        if role == role::CONNECTED && read::<u16>(sk as u64, offset!(skc_num)) != 0 {
            return 0;
        }
        let cookie = if has!(fn_socket_ptr_cookie) {
            // SAFETY: the tracepoint's own socket. The helper gives it a cookie if it has none; its TIME_WAIT inherits that.
            unsafe { bpf_get_socket_cookie(sk) }
        } else {
            launder(&ctx, 0)
        };
        record(Context::Btf as u32, cookie, u32::from(role as u8))
    })
}

/// `void security_sock_graft(struct sock *sk, struct socket *parent)`: `accept()` has a connection.
#[fentry(function = "security_sock_graft")]
pub fn sock_graft(ctx: FEntryContext) -> i32 {
    undisturbed(|| {
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

/// Records the current process as owner. A function of its own, which the verifier looks at once.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn record(context: u32, key: u64, role: u32) -> i32 {
    let current = task::current();
    if task::is_kernel_thread(current) {
        return 0;
    }
    // SAFETY: the helper has no conditions.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    let leader = task::leader(current);
    let start_boot_ns = task::start_boot_ns(leader);
    let mut owner = Owner {
        key,
        since_ns: if role == role::CONNECTED { now } else { 0 },
        closed_ns: if role == role::CLOSED { now } else { 0 },
        start_boot_ns,
        tgid: task::tgid(),
        ppid: task::ppid(leader),
        uid: bpf_get_current_uid_gid() as u32,
        roles: role,
        comm: task::comm(leader),
        key_again: 0,
    };
    owner::set(By::Cookie, &mut owner);
    process::ensure(Context::of(context), current, start_boot_ns);
    0
}

/// A connection is there, outgoing or incoming.
#[inline(always)]
fn established(sk: u64, old: u8) -> i32 {
    if is_on(switch::PORTS_FROM_STATES) && is_watched(port::of(sk)) {
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

/// A connection is over. If a mini-socket took its place, that is in the table by now.
#[inline(always)]
fn closed(sk: u64, old: u8) -> i32 {
    let watched = is_watched(port::of(sk));
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
    owner::forget(sk);
    // What was bound gives its port back when it is destroyed.
    if watched
        && is_on(switch::PORTS_FROM_STATES)
        && bits(sk, offset!(sk_userlocks)) & BINDPORT_LOCK == 0
    {
        send_port(sk, action::RELEASED, how::UNKNOWN);
    }
    0
}

/// The mini-socket that took a connection's place, or 0. A function of its own, for the stack.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn successor(sk: u64) -> u64 {
    let tw = time_wait_of(sk);
    owner::inherit(sk, tw);
    tw
}
