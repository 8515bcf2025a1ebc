//! The socket that makes the kernel refuse a port, caught in the functions that compare.
//!
//! They run under the spin lock of the port's bucket, so the socket cannot change meanwhile: what is copied here is the
//! kernel's own reason. The kernel stops at the first conflict.
//!
//! Two functions decide, in an order that depends on the kernel:
//!
//! - Before 6.1 the rest is compared inline, and `inet_rcv_saddr_equal()` comes last. So it does for UDP on every
//!   kernel, except for `SO_REUSEPORT`: if that allows the bind, the contest ends without a refusal.
//! - Since 6.1 `inet_bind_conflict()` compares all but the address. For a wildcard binder `inet_rcv_saddr_equal()`
//!   comes next, and may take the conflict back. For a specific address the bucket has the address already, and none
//!   follows.
//!
//! Not on `inet_csk_bind_conflict()`: since 6.1 `inet_bhash2_addr_any_conflict()` refuses a specific binder against a
//! wildcard socket before the kernel calls it. Nor on `inet_bhash2_conflict()`: Debian's kernels from 6.12 on have only
//! its `.isra.0` copy, and BTF lists no such copies.

use aya_ebpf::{
    helpers::{
        bpf_get_current_pid_tgid,
        generated::{bpf_get_socket_cookie, bpf_ktime_get_boot_ns},
    },
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use portwatch_common::event::{attempt::stage, socket::flag};

use crate::{
    kernel::{
        preempt::undisturbed,
        read::launder,
        sock::{self, Common},
    },
    state::{
        calls,
        globals::has,
        owners,
        refusals::{self, Contest},
    },
};

/// `int inet_csk_get_port(struct sock *sk, unsigned short snum)`
#[fentry(function = "inet_csk_get_port")]
pub fn get_port(ctx: FEntryContext) -> i32 {
    undisturbed(|| {
        if has!(fn_socket_ptr_cookie) {
            let sk: *mut core::ffi::c_void = ctx.arg(0);
            // The owner is found by the cookie when the inode is gone.
            // SAFETY: the function's own socket. The helper gives it a cookie if it has none.
            unsafe { bpf_get_socket_cookie(sk) };
        }
        refusals::begin(launder(&ctx, 0), ctx.arg::<u64>(1) as u16);
        0
    })
}

/// `int udp_lib_get_port(struct sock *sk, unsigned short snum, unsigned int hash2_nulladdr)`
#[fentry(function = "udp_lib_get_port")]
pub fn udp_get_port(ctx: FEntryContext) -> i32 {
    undisturbed(|| {
        refusals::begin(launder(&ctx, 0), ctx.arg::<u64>(1) as u16);
        0
    })
}

/// `int inet_csk_get_port(struct sock *sk, unsigned short snum)`
#[fexit(function = "inet_csk_get_port")]
pub fn got_port(ctx: FExitContext) -> i32 {
    undisturbed(|| end(launder(&ctx, 0), ctx.arg::<u64>(2) as i32))
}

/// `int udp_lib_get_port(struct sock *sk, unsigned short snum, unsigned int hash2_nulladdr)`
#[fexit(function = "udp_lib_get_port")]
pub fn udp_got_port(ctx: FExitContext) -> i32 {
    undisturbed(|| end(launder(&ctx, 0), ctx.arg::<u64>(3) as i32))
}

#[inline(always)]
fn end(sk: u64, result: i32) -> i32 {
    let thread = bpf_get_current_pid_tgid();
    if let Some(call) = calls::current(thread) {
        // SAFETY: a valid map value, which only this thread's own hooks write.
        unsafe {
            (*call).stages.reached |= stage::PORT;
            (*call).stages.port = result;
        }
    }
    // A failure is 1 in 5.10 and 5.15, and an errno since 6.1.
    refusals::end(sk, thread, result != 0);
    0
}

/// `static bool inet_bind_conflict(const struct sock *sk, struct sock *sk2, kuid_t uid, bool relax, bool
/// reuseport_cb_ok, bool reuseport_ok)` (6.1): all but the address.
#[fexit(function = "inet_bind_conflict")]
pub fn bind_conflict(ctx: FExitContext) -> i32 {
    undisturbed(|| {
        // A `bool` fills one byte of its slot; the others are left from before.
        if ctx.arg::<u64>(6) as u8 != 0 {
            compared(launder(&ctx, 0), launder(&ctx, 1));
        }
        0
    })
}

/// `bool inet_rcv_saddr_equal(const struct sock *sk, const struct sock *sk2, bool match_wildcard)`: the address.
#[fexit(function = "inet_rcv_saddr_equal")]
pub fn saddr_equal(ctx: FExitContext) -> i32 {
    undisturbed(|| {
        // The kernel looks for a conflict only with `match_wildcard`.
        if ctx.arg::<u64>(2) as u8 == 0 {
            return 0;
        }
        let (sk, sk2) = (launder(&ctx, 0), launder(&ctx, 1));
        if ctx.arg::<u64>(3) as u8 != 0 {
            compared(sk, sk2);
        } else {
            refusals::take_back(sk, sk2);
        }
        0
    })
}

#[inline(always)]
fn compared(sk: u64, sk2: u64) {
    if refusals::is_new(sk, sk2) {
        keep_exact(sk2);
    }
}

/// Copies the facts of a socket at this instant. A function of its own, which the verifier looks at once for both
/// hooks.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn keep_exact(sk2: u64) -> u32 {
    let Some(contest) = Contest::current() else {
        return 0;
    };
    // SAFETY: a valid per-CPU value. The kernel holds a spin lock with softirqs off, so nothing else compares on this
    // CPU.
    let contest: &mut Contest = unsafe { &mut *contest };
    // SAFETY: the buffer is a map value of that length.
    let Some(common) = (unsafe { Common::copy(sk2, contest.common.as_mut_ptr()) }) else {
        return 0;
    };
    let kept = &mut contest.exact.candidate;
    sock::fill(sk2, common, &mut kept.socket);
    kept.socket.flags |= flag::EXACT;
    owners::of(&kept.socket, &mut kept.owner);
    // SAFETY: the helper has no conditions.
    contest.exact.boot_ns = unsafe { bpf_ktime_get_boot_ns() };
    // Last, when all facts are there: it makes the copy count.
    contest.sk2 = sk2;
    0
}
