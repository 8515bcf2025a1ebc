//! Who gets a watched port and who gives it back, from the functions that do it.
//!
//! What `bind()` and `listen()` get is told where attempts are ([`crate::records::attempt`]).

use aya_ebpf::{
    macros::{btf_tracepoint, fentry, fexit},
    programs::{BtfTracePointContext, FEntryContext, FExitContext},
};
use portwatch_common::{
    event::port::{action, how},
    maps::switch,
};

use crate::{
    kernel::{
        preempt::undisturbed,
        read::{bits, launder, read, typed},
        sock::BINDPORT_LOCK,
    },
    records::port::send_port,
    state::{
        globals::offset,
        ports::{self, is_watched},
    },
};

/// `int inet_hash_connect(struct inet_timewait_death_row *death_row, struct sock *sk)`
#[fexit(function = "inet_hash_connect")]
pub fn hash_connect(ctx: FExitContext) -> i32 {
    undisturbed(|| connected(launder(&ctx, 1), ctx.arg::<u64>(2) as i32))
}

/// `int inet6_hash_connect(struct inet_timewait_death_row *death_row, struct sock *sk)`
#[fexit(function = "inet6_hash_connect")]
pub fn hash_connect6(ctx: FExitContext) -> i32 {
    undisturbed(|| connected(launder(&ctx, 1), ctx.arg::<u64>(2) as i32))
}

#[inline(always)]
fn connected(sk: u64, result: i32) -> i32 {
    // A port from before it connects is from `bind()`.
    if result == 0
        && is_watched(read(sk, offset!(skc_num)))
        && bits(sk, offset!(sk_userlocks)) & BINDPORT_LOCK == 0
    {
        send_port(sk, action::TAKEN, how::CONNECT);
    }
    0
}

/// `int __inet_inherit_port(const struct sock *sk, struct sock *child)`
#[fexit(function = "__inet_inherit_port")]
pub fn inherit_port(ctx: FExitContext) -> i32 {
    undisturbed(|| {
        let child = launder(&ctx, 1);
        if ctx.arg::<u64>(2) as i32 == 0 && is_watched(read(child, offset!(skc_num))) {
            send_port(child, action::TAKEN, how::ACCEPT);
        }
        0
    })
}

/// `void inet_put_port(struct sock *sk)`
#[fentry(function = "inet_put_port")]
pub fn put_port(ctx: FEntryContext) -> i32 {
    undisturbed(|| released(launder(&ctx, 0)))
}

/// `void udp_lib_unhash(struct sock *sk)`
#[fentry(function = "udp_lib_unhash")]
pub fn udp_unhash(ctx: FEntryContext) -> i32 {
    undisturbed(|| released(launder(&ctx, 0)))
}

#[inline(always)]
fn released(sk: u64) -> i32 {
    if is_watched(read(sk, offset!(skc_num))) {
        send_port(sk, action::RELEASED, how::UNKNOWN);
    }
    0
}

/// TP_PROTO(struct sock *sk): where the above cannot be had. A connection has given its port back before this, and is
/// told by its change of state; left are sockets that were bound.
#[btf_tracepoint(function = "tcp_destroy_sock")]
pub fn destroy_sock(ctx: BtfTracePointContext) -> i32 {
    undisturbed(|| {
        let at = offset!(skc_num);
        // SAFETY: the tracepoint's own socket, whose type the verifier knows.
        if ports::is_on(switch::PORTS_FROM_STATES) && is_watched(unsafe { typed(ctx.arg(0), at) }) {
            send_port(launder(&ctx, 0), action::RELEASED, how::UNKNOWN);
        }
        0
    })
}
