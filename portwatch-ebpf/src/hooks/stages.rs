//! Stages of a `bind()`, and binds without a system call that is traced.
//!
//! `EACCES` and `EPERM` come from a security module, a control group's program or the check for privileged ports. The
//! deepest function that ended tells which. The hooks only note results in the call under way: its return reports them.
//!
//! Where each refusal shows: seccomp by a return without an entry; security modules in `security_socket_bind()`;
//! programs of the control group in `inet_bind()` without `__inet_bind()`; the address in `__inet_bind()`; the port in
//! `get_port()`.

use aya_ebpf::{helpers::bpf_get_current_pid_tgid, macros::fexit, programs::FExitContext};
use portwatch_common::event::attempt::{flag, op, stage};

use crate::{
    kernel::{
        caller,
        preempt::undisturbed,
        read::{launder, read},
        task,
    },
    records::attempt::{self, begin},
    state::{
        calls::{self, Call},
        globals::offset,
        work::Context,
    },
};

/// `BIND_FROM_BPF` of `include/net/inet_common.h`: `bpf_bind()` of a control group's program, within a `connect()`.
const BIND_FROM_BPF: u32 = 1 << 2;

/// `int security_socket_bind(struct socket *sock, struct sockaddr *address, int addrlen)`
#[fexit(function = "security_socket_bind")]
pub fn security(ctx: FExitContext) -> i32 {
    undisturbed(|| {
        if let Some(call) = calls::current(bpf_get_current_pid_tgid()) {
            // SAFETY: a valid map value, which only this thread's own hooks write.
            unsafe {
                (*call).stages.reached |= stage::SECURITY;
                (*call).stages.security = ctx.arg::<u64>(3) as i32;
            }
        }
        0
    })
}

/// `int inet_bind(struct socket *sock, struct sockaddr *uaddr, int addr_len)`: `kernel_bind()` enters here, too.
#[fexit(function = "inet_bind")]
pub fn family(ctx: FExitContext) -> i32 {
    undisturbed(|| family_ended(&ctx))
}

/// `int inet6_bind(struct socket *sock, struct sockaddr *uaddr, int addr_len)`
#[fexit(function = "inet6_bind")]
pub fn family6(ctx: FExitContext) -> i32 {
    undisturbed(|| family_ended(&ctx))
}

/// `int inet_bind_sk(struct sock *sk, struct sockaddr *uaddr, int addr_len)` (6.6): MPTCP enters here, and not by
/// `inet_bind()` any more. An ordinary bind passes both; the inner result is overwritten by the same outer one.
#[fexit(function = "inet_bind_sk")]
pub fn family_sk(ctx: FExitContext) -> i32 {
    undisturbed(|| family_ended(&ctx))
}

/// `int inet6_bind_sk(struct sock *sk, struct sockaddr *uaddr, int addr_len)` (6.6)
#[fexit(function = "inet6_bind_sk")]
pub fn family6_sk(ctx: FExitContext) -> i32 {
    undisturbed(|| family_ended(&ctx))
}

#[inline(always)]
fn family_ended(ctx: &FExitContext) -> i32 {
    if let Some(call) = calls::current(bpf_get_current_pid_tgid()) {
        // SAFETY: as above.
        unsafe {
            (*call).stages.reached |= stage::FAMILY;
            (*call).stages.family = ctx.arg::<u64>(3) as i32;
        }
    }
    0
}

/// `int __inet_bind(struct sock *sk, struct sockaddr *uaddr, int addr_len, u32 flags)`: the way of every bind of TCP
/// and UDP, also `bpf_bind()`, the kernel's own and MPTCP's.
#[fexit(function = "__inet_bind")]
pub fn address(ctx: FExitContext) -> i32 {
    undisturbed(|| address_ended(&ctx, Context::KernelBind))
}

/// `int __inet6_bind(struct sock *sk, struct sockaddr *uaddr, int addr_len, u32 flags)`
#[fexit(function = "__inet6_bind")]
pub fn address6(ctx: FExitContext) -> i32 {
    undisturbed(|| address_ended(&ctx, Context::KernelBind6))
}

#[inline(always)]
fn address_ended(ctx: &FExitContext, context: Context) -> i32 {
    let result = ctx.arg::<u64>(4) as i32;
    if let Some(call) = calls::current(bpf_get_current_pid_tgid()) {
        // SAFETY: as above.
        unsafe {
            (*call).stages.reached |= stage::ADDRESS;
            (*call).stages.address = result;
        }
        return 0;
    }
    let sk = launder(ctx, 0);
    // Outside of a system call that is traced: this is the only hook that sees the bind, so it makes the record.
    let who = binder(sk, ctx.arg::<u64>(3) as u32);
    if who != 0 {
        begin_alone(
            context as u32,
            launder(ctx, 1),
            ctx.arg::<u64>(2) as u32,
            who,
            i64::from(result),
        );
        attempt::complete(context, sk);
    }
    0
}

/// The binder without a traced system call: the kernel or a 32-bit program, as a flag of the attempt.
///
/// 0 for neither. Then the table of calls was full, and the call's own return reports it.
#[inline(always)]
fn binder(sk: u64, flags: u32) -> u32 {
    let socket: u64 = read(sk, offset!(sk_socket));
    // A socket of the kernel has no file.
    if flags & BIND_FROM_BPF != 0 || read::<u64>(socket, offset!(socket_file)) == 0 {
        flag::KERNEL
    } else if caller::is_compat(task::current()) {
        flag::COMPAT
    } else {
        0
    }
}

/// Begins the record of such a bind. A function of its own, because its [`Call`] lies on the stack.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn begin_alone(context: u32, uaddr: u64, len: u32, who: u32, result: i64) -> u32 {
    let mut call = Call::new(op::BIND, -1);
    call.addrlen = len;
    call.flags = who;
    if !call.read_kernel_address(uaddr) {
        call.flags |= flag::ADDRESS_UNREAD;
    }
    call.stages.reached = stage::ADDRESS;
    call.stages.address = result as i32;
    begin::begin(Context::of(context), &call, result);
    0
}
