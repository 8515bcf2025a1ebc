//! The life of a `TIME_WAIT` on a watched port, from the functions that make it.

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
/// state)`, where sockets have no cookies for programs: what is known of the connection is known of its mini-socket.
#[fexit(function = "inet_twsk_alloc")]
pub fn twsk_alloc(ctx: FExitContext) -> i32 {
    undisturbed(|| {
        owners::inherit(launder(&ctx, 0), launder(&ctx, 3));
        0
    })
}

/// `void __inet_twsk_schedule(struct inet_timewait_sock *tw, int timeo, bool rearm)`
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

/// `void inet_twsk_hashdance_schedule(struct inet_timewait_sock *tw, struct sock *sk, struct inet_hashinfo *hashinfo, int
/// timeo)` (6.12; not in 6.8), in which the one above may be inlined.
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

/// `void inet_twsk_kill(struct inet_timewait_sock *tw)`: every end leads here.
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

/// `int tcp_twsk_unique(struct sock *sk, struct sock *sktw, void *twp)`: 1 if `connect()` takes its place.
#[fexit(function = "tcp_twsk_unique")]
pub fn twsk_unique(ctx: FExitContext) -> i32 {
    undisturbed(|| {
        if ctx.arg::<u64>(3) as i32 == 1 {
            reuse::mark(launder(&ctx, 1), reason::REUSED_BY_CONNECT);
        }
        0
    })
}

/// `enum tcp_tw_status tcp_timewait_state_process(struct inet_timewait_sock *tw, ...)`: what an earlier segment meant does
/// not count any more; a reset ends the mini-socket within.
#[fentry(function = "tcp_timewait_state_process")]
pub fn timewait_segment(_ctx: FEntryContext) -> i32 {
    undisturbed(|| {
        reuse::mark(0, reason::UNKNOWN);
        0
    })
}

/// The same, when it has answered: a SYN takes the place of the mini-socket if somebody listens (`tcp_v4_rcv()`).
#[fexit(function = "tcp_timewait_state_process")]
pub fn timewait_answer(ctx: FExitContext) -> i32 {
    undisturbed(|| {
        if !has!(fn_timewait_state_process) {
            return 0;
        }
        // The result comes behind the arguments, of which there are more on newer kernels.
        let answer = launder(&ctx, offset!(fn_timewait_state_process)) as u32;
        if answer == TCP_TW_SYN {
            reuse::mark(launder(&ctx, 0), reason::REUSED_BY_SYN);
        }
        0
    })
}
