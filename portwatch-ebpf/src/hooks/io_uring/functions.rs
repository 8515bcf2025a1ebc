//! `io_uring`'s bind and listen, in the functions that it shares with the system calls.
//!
//! A thread without a call under way comes from `io_bind()` or `io_listen()`. Unlike tracepoints these hooks cost other
//! requests of `io_uring` nothing.

use aya_ebpf::{
    helpers::bpf_get_current_pid_tgid,
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use portwatch_common::{
    endpoint::{AF_INET, AF_INET6, AF_UNIX},
    event::attempt::{flag, op},
};

use crate::{
    kernel::{
        preempt::undisturbed,
        read::{launder, read},
    },
    records::attempt::{self, begin},
    state::{
        calls::{self, Call},
        globals::offset,
        work::Context,
    },
};

/// `int __sys_bind_socket(struct socket *sock, struct sockaddr_storage *address, int addrlen)`
#[fentry(function = "__sys_bind_socket")]
pub fn enter_bind_socket(ctx: FEntryContext) -> i32 {
    undisturbed(|| {
        if calls::current(bpf_get_current_pid_tgid()).is_some() {
            return 0;
        }
        let mut call = Call::new(op::BIND, -1);
        call.flags = flag::IO_URING;
        call.addrlen = ctx.arg::<u64>(2) as u32;
        if !call.read_kernel_address(launder(&ctx, 1)) {
            call.flags |= flag::ADDRESS_UNREAD;
        } else if !call.is_of_interest() {
            return 0;
        }
        call.remember();
        0
    })
}

/// `int __sys_bind_socket(struct socket *sock, struct sockaddr_storage *address, int addrlen)`
#[fexit(function = "__sys_bind_socket")]
pub fn exit_bind_socket(ctx: FExitContext) -> i32 {
    undisturbed(|| {
        let sk: u64 = read(launder(&ctx, 0), offset!(socket_sk));
        returned(Context::UringBind, sk, ctx.arg::<u64>(3) as i32)
    })
}

/// `int __sys_listen_socket(struct socket *sock, int backlog)`
#[fentry(function = "__sys_listen_socket")]
pub fn enter_listen_socket(ctx: FEntryContext) -> i32 {
    undisturbed(|| {
        if calls::current(bpf_get_current_pid_tgid()).is_some() {
            return 0;
        }
        let sk: u64 = read(launder(&ctx, 0), offset!(socket_sk));
        let family: u16 = read(sk, offset!(skc_family));
        let inet = family == AF_INET || family == AF_INET6;
        if !inet && family != AF_UNIX {
            return 0;
        }
        // As at the entry of `listen()`: on return the socket has a port either way.
        let op = if inet && read::<u16>(sk, offset!(skc_num)) == 0 {
            op::AUTOBIND
        } else {
            op::LISTEN
        };
        let mut call = Call::new(op, -1);
        call.flags = flag::IO_URING;
        call.backlog = ctx.arg::<u64>(1) as i32;
        call.remember();
        0
    })
}

/// `int __sys_listen_socket(struct socket *sock, int backlog)`
#[fexit(function = "__sys_listen_socket")]
pub fn exit_listen_socket(ctx: FExitContext) -> i32 {
    undisturbed(|| {
        let sk: u64 = read(launder(&ctx, 0), offset!(socket_sk));
        returned(Context::UringListen, sk, ctx.arg::<u64>(2) as i32)
    })
}

#[inline(always)]
fn returned(context: Context, sk: u64, result: i32) -> i32 {
    let thread = bpf_get_current_pid_tgid();
    let Some(call) = calls::current(thread) else {
        return 0;
    };
    // SAFETY: a valid map value, which only this thread's own hooks write.
    let call = unsafe { &*call };
    // A system call's own return reports it.
    if call.flags & flag::IO_URING == 0 {
        return 0;
    }
    begin::begin(context, call, i64::from(result));
    calls::remove(thread);
    attempt::complete(context, sk);
    0
}
