//! Taking and releasing a watched port, in the functions that do it.
//!
//! What `bind()` and `listen()` take is reported with the attempt ([`crate::records::attempt`]).
//!
//! Not on `inet_bind_hash()`, through which all ports go: compilers inline it into connect and accept.

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
///
/// Not `__inet_hash_connect()` below it, which got another parameter on the way to 6.18.
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
    // With the lock, the port is from an earlier `bind()`.
    if result == 0
        && is_watched(read(sk, offset!(skc_num)))
        && bits(sk, offset!(sk_userlocks)) & BINDPORT_LOCK == 0
    {
        send_port(sk, action::TAKEN, how::CONNECT);
    }
    0
}

/// `int __inet_inherit_port(const struct sock *sk, struct sock *child)`: a listener's connection shares its port.
///
/// In a softirq, with any task as `current`.
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

/// `void inet_put_port(struct sock *sk)`: on entry, when `skc_num` still has the port. `__inet_put_port()` is always
/// inlined.
#[fentry(function = "inet_put_port")]
pub fn put_port(ctx: FEntryContext) -> i32 {
    undisturbed(|| released(launder(&ctx, 0)))
}

/// `void udp_lib_unhash(struct sock *sk)`: UDP's release, which no tracepoint shows.
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

/// TP_PROTO(struct sock *sk): the release of a bound socket, where the functions above cannot be hooked.
///
/// It fires before the port is released. A connection without an explicit port has released it already, and its change
/// of state has reported that.
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
