//! Who connects and who closes, through tp_btf `inet_sock_set_state`.
//!
//! `current` is the connector at CLOSE -> SYN_SENT and the closer at ESTABLISHED -> FIN_WAIT1 and CLOSE_WAIT ->
//! LAST_ACK (`tcp_close_state()`), also when a process dies. At every other change it can be whoever the packet
//! interrupted.

use aya_ebpf::{
    helpers::{
        bpf_get_current_uid_gid,
        generated::{bpf_get_socket_cookie, bpf_ktime_get_boot_ns},
    },
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use portwatch_common::event::{
    owner::{Owner, role},
    socket::state,
};

use crate::{
    debug_log::debug_log,
    globals::offset,
    maps::Context,
    owner::{self, By},
    process,
    read::read,
    task,
};

/// TP_PROTO(const struct sock *sk, const int oldstate, const int newstate)
#[btf_tracepoint(function = "inet_sock_set_state")]
pub fn set_state(ctx: BtfTracePointContext) -> i32 {
    let old = ctx.arg::<u32>(1) as u8;
    let new = ctx.arg::<u32>(2) as u8;
    let role = match (old, new) {
        (state::CLOSE, state::SYN_SENT) => role::CONNECTED,
        (state::ESTABLISHED, state::FIN_WAIT1)
        | (state::CLOSE_WAIT, state::LAST_ACK)
        | (state::SYN_RECV, state::FIN_WAIT1) => role::CLOSED,
        _ => return 0,
    };
    debug_log!(&ctx, "connection goes from state {} to {}", old, new);
    let current = task::current();
    if task::is_kernel_thread(current) {
        return 0;
    }
    let sk: *const core::ffi::c_void = ctx.arg(0);
    // A port that it has before it connects is from bind(): whose that is has been recorded then.
    if role == role::CONNECTED && read::<u16>(sk as u64, offset!(skc_num)) != 0 {
        return 0;
    }
    // SAFETY: the tracepoint's own socket. The helper gives it a cookie if it has none; its TIME_WAIT inherits that.
    let cookie = unsafe { bpf_get_socket_cookie(sk.cast_mut()) };
    // SAFETY: the helper has no conditions.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    let leader = task::leader(current);
    let start_boot_ns = task::start_boot_ns(leader);
    owner::set(
        By::Cookie,
        Owner {
            key: cookie,
            since_ns: if role == role::CONNECTED { now } else { 0 },
            closed_ns: if role == role::CLOSED { now } else { 0 },
            start_boot_ns,
            tgid: task::tgid(),
            ppid: task::ppid(leader),
            uid: bpf_get_current_uid_gid() as u32,
            roles: role,
            comm: task::comm(leader),
            key_again: cookie,
        },
    );
    process::ensure(Context::Btf, current, start_boot_ns);
    0
}
