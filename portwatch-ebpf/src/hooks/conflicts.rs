//! The socket that a port is refused for, from the functions that compare.
//!
//! They run under the lock of the port's bucket, and the kernel stops at the first conflict. A binder that takes any port
//! is left out: it is compared tens of thousands of times, and no single socket refuses it.

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
            // SAFETY: the function's own socket. It has a cookie from now on, by which its owner is found when its inode is
            // gone.
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
        // SAFETY: a valid map value, which only this thread's own calls write.
        unsafe {
            (*call).stages.reached |= stage::PORT;
            (*call).stages.port = result;
        }
    }
    // 1 before 6.1, an errno since.
    refusals::end(sk, thread, result != 0);
    0
}

/// `static bool inet_bind_conflict(const struct sock *sk, struct sock *sk2, kuid_t uid, bool relax, bool
/// reuseport_cb_ok, bool reuseport_ok)` (6.1): everything but the address.
#[fexit(function = "inet_bind_conflict")]
pub fn bind_conflict(ctx: FExitContext) -> i32 {
    undisturbed(|| {
        if ctx.arg::<u64>(6) as u8 != 0 {
            compared(launder(&ctx, 0), launder(&ctx, 1));
        }
        0
    })
}

/// `bool inet_rcv_saddr_equal(const struct sock *sk, const struct sock *sk2, bool match_wildcard)`: the address. Where it is
/// asked last, it decides.
#[fexit(function = "inet_rcv_saddr_equal")]
pub fn saddr_equal(ctx: FExitContext) -> i32 {
    undisturbed(|| {
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

/// Keeps what a socket is like at this instant. A function of its own, which the verifier looks at once.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn keep_exact(sk2: u64) -> u32 {
    let Some(contest) = Contest::current() else {
        return 0;
    };
    // SAFETY: a valid per-CPU value; the kernel holds the bucket's lock, so that nothing else runs here.
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
    contest.sk2 = sk2;
    0
}
