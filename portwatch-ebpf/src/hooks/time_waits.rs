//! The life of a `TIME_WAIT` on a watched port, in the functions that make it.
//!
//! No tracepoint shows any of it. `current` can be any task, so the owner is found by the cookie that the mini-socket
//! inherited.

use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use portwatch_common::event::time_wait::{action, reason};

use crate::{
    kernel::{
        preempt::undisturbed,
        read::{launder, read},
        sock,
    },
    records::time_wait::send_time_wait,
    state::{
        globals::{has, offset},
        owners,
        ports::is_watched,
        reuse,
    },
};

/// `TCP_TW_SYN` of `enum tcp_tw_status`.
const TCP_TW_SYN: u32 = 3;

/// `struct inet_timewait_sock *inet_twsk_alloc(const struct sock *sk, struct inet_timewait_death_row *dr, const int
/// state)`
///
/// Only where programs cannot ask for cookies (before 5.12): the one place that knows both the connection and its
/// mini-socket.
#[fexit(function = "inet_twsk_alloc")]
pub fn twsk_alloc(ctx: FExitContext) -> i32 {
    undisturbed(|| {
        owners::inherit(launder(&ctx, 0), launder(&ctx, 3));
        0
    })
}

/// `void __inet_twsk_schedule(struct inet_timewait_sock *tw, int timeo, bool rearm)`: the timer is set.
///
/// A mini-socket often begins in substate FIN_WAIT2. When it becomes a real TIME_WAIT, only this re-arming shows it.
#[fexit(function = "__inet_twsk_schedule")]
pub fn twsk_schedule(ctx: FExitContext) -> i32 {
    undisturbed(|| {
        let rearm = ctx.arg::<u64>(2) as u8 != 0;
        if rearm {
            tell(launder(&ctx, 0), action::REARM);
        } else if !has!(fn_twsk_hashdance_schedule) {
            tell(launder(&ctx, 0), action::ENTER);
        }
        0
    })
}

/// `void inet_twsk_hashdance_schedule(struct inet_timewait_sock *tw, struct sock *sk, struct inet_hashinfo *hashinfo,
/// int timeo)` (6.12; not in 6.8): the first timer is set. The function above may be inlined here, so it does not
/// report this.
#[fexit(function = "inet_twsk_hashdance_schedule")]
pub fn twsk_hashdance(ctx: FExitContext) -> i32 {
    undisturbed(|| {
        tell(launder(&ctx, 0), action::ENTER);
        0
    })
}

#[inline(always)]
fn tell(tw: u64, action: u32) {
    if is_watched(read(tw, offset!(skc_num))) {
        send_time_wait(tw, action, reason::UNKNOWN, 0);
    }
}

/// `void inet_twsk_kill(struct inet_timewait_sock *tw)`: timer, reuse, reset and the end of a namespace all lead here.
///
/// On entry, when all members are still valid. `inet_twsk_bind_unhash()` would run twice for a reuse by `connect()`.
#[fentry(function = "inet_twsk_kill")]
pub fn twsk_kill(ctx: FEntryContext) -> i32 {
    undisturbed(|| {
        let tw = launder(&ctx, 0);
        if is_watched(read(tw, offset!(skc_num))) {
            send_time_wait(tw, action::LEAVE, reason_of(tw), 0);
        }
        0
    })
}

#[inline(always)]
fn reason_of(tw: u64) -> u32 {
    if let Some(reason) = reuse::take(tw) {
        return reason;
    }
    if sock::expires_in_jiffies(tw) <= 0 {
        reason::EXPIRED
    } else {
        reason::KILLED
    }
}

/// `int tcp_twsk_unique(struct sock *sk, struct sock *sktw, void *twp)`: 1 if `connect()` takes the mini-socket's
/// place.
#[fexit(function = "tcp_twsk_unique")]
pub fn twsk_unique(ctx: FExitContext) -> i32 {
    undisturbed(|| {
        if ctx.arg::<u64>(3) as i32 == 1 {
            reuse::mark(launder(&ctx, 1), reason::REUSED_BY_CONNECT);
        }
        0
    })
}

/// `enum tcp_tw_status tcp_timewait_state_process(struct inet_timewait_sock *tw, ...)`: a segment comes for a
/// mini-socket.
///
/// The mark of an earlier segment goes: a reset ends the mini-socket within this function, and is no reuse.
#[fentry(function = "tcp_timewait_state_process")]
pub fn timewait_segment(_ctx: FEntryContext) -> i32 {
    undisturbed(|| {
        reuse::mark(0, reason::UNKNOWN);
        0
    })
}

/// The same on return: a SYN takes the mini-socket's place if there is a listener (`tcp_v4_rcv()`).
#[fexit(function = "tcp_timewait_state_process")]
pub fn timewait_answer(ctx: FExitContext) -> i32 {
    undisturbed(|| {
        if !has!(fn_timewait_state_process) {
            return 0;
        }
        // The result lies behind the arguments. Newer kernels have more of them, so their number comes from BTF.
        let answer = launder(&ctx, offset!(fn_timewait_state_process)) as u32;
        if answer == TCP_TW_SYN {
            reuse::mark(launder(&ctx, 0), reason::REUSED_BY_SYN);
        }
        0
    })
}
