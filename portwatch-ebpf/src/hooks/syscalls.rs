//! `bind()` and `listen()`, at the tracepoints of their system calls: the same on every kernel, and allowed on hardened
//! ones.
//!
//! The entry reads the requested address: another thread may change it later, and a refusal resets the socket's own.
//! The return reads everything else, when the kernel has decided. seccomp refuses a call before its entry, so
//! that shows as a return without an entry. 32-bit calls do not pass here on x86 (`trace_get_syscall_nr()`).
//!
//! Since 7.2 these programs can be preempted (`trace_call_bpf_faultable()`). While one is under way on a CPU, the
//! kernel skips it for every other task there. So each has three copies there, which do what those before them could
//! not.

use aya_ebpf::{
    EbpfContext, helpers::bpf_get_current_pid_tgid, macros::tracepoint, programs::TracePointContext,
};
use portwatch_common::{
    endpoint::{AF_INET, AF_INET6, AF_UNIX},
    event::attempt::{flag, op},
};

use crate::{
    hooks::debug_log::debug_log,
    kernel::{descriptor, preempt::undisturbed, read::read},
    records::attempt::{
        self,
        begin::{NOT_OF_INTEREST, begin_returned},
    },
    state::{
        calls::{self, Call, IGNORED_LISTEN},
        globals::offset,
        work::Context,
    },
};

/// Offsets of the arguments in `syscalls:sys_enter_*` and of the result in `sys_exit_*`, which are ABI.
const ARG0: usize = 16;
const ARG1: usize = 24;
const ARG2: usize = 32;
const RESULT: usize = 16;

#[inline(always)]
fn argument(ctx: &TracePointContext, at: usize) -> u64 {
    // SAFETY: the offset lies within the tracepoint's record. Read directly and not through a helper, which saves 30 ns
    // of each bind. Volatile, because the verifier accepts the context only with a constant offset in the read itself.
    unsafe {
        ctx.as_ptr()
            .cast::<u8>()
            .add(at)
            .cast::<u64>()
            .read_volatile()
    }
}

/// int bind(int fd, struct sockaddr *umyaddr, int addrlen)
#[inline(always)]
fn bind_begins(ctx: &TracePointContext) -> i32 {
    let mut call = Call::new(op::BIND, argument(ctx, ARG0) as i32);
    call.user_address = argument(ctx, ARG1);
    call.addrlen = argument(ctx, ARG2) as u32;
    if call.read_address() {
        // Remembered all the same: without an entry, the return would look like a refusal of seccomp.
        if !call.is_of_interest() {
            call.op = 0;
        }
    } else {
        call.flags |= flag::ADDRESS_UNREAD;
    }
    debug_log!(ctx, "bind begins: fd {}, family {}", call.fd, call.family());
    call.remember();
    0
}

/// int listen(int fd, int backlog)
#[inline(always)]
fn listen_begins(ctx: &TracePointContext) -> i32 {
    let fd = argument(ctx, ARG0) as i32;
    let mut call = Call::new(op::LISTEN, fd);
    call.backlog = argument(ctx, ARG1) as i32;
    // `inet_csk_listen_start()` picks a missing port. Only the entry shows that: on return there is one either way.
    let sk = descriptor::from_fd(fd).sk;
    let family: u16 = read(sk, offset!(skc_family));
    if family == AF_INET || family == AF_INET6 {
        if read::<u16>(sk, offset!(skc_num)) == 0 {
            call.op = op::AUTOBIND;
        }
    } else if sk != 0 && family != AF_UNIX {
        call.op = IGNORED_LISTEN;
    }
    call.remember();
    0
}

/// A call returns: completes its record, unless it is of no interest.
#[inline(always)]
fn ends(ctx: &TracePointContext, op: u32) -> i32 {
    let result = argument(ctx, RESULT) as i64;
    debug_log!(ctx, "bind (1) or listen (2) ends: {}: {}", op, result);
    let sk = begin_returned(op, result);
    if sk != NOT_OF_INTEREST {
        attempt::complete(Context::Tracepoint, sk);
    }
    0
}

/// True if an earlier copy has stored the call that begins.
#[inline(always)]
fn is_remembered(ctx: &TracePointContext, op: u32) -> bool {
    let Some(call) = calls::current(bpf_get_current_pid_tgid()) else {
        return false;
    };
    // SAFETY: a valid map value, which only this thread's own hooks write.
    let call = unsafe { &*call };
    calls::is_of(call.op, op)
        && call.fd == argument(ctx, ARG0) as i32
        && (op != op::BIND || call.user_address == argument(ctx, ARG1))
}

/// True if no earlier copy has reported the call that returns. A call without an entry is for the first program alone.
#[inline(always)]
fn is_untold(op: u32) -> bool {
    // SAFETY: as above.
    calls::current(bpf_get_current_pid_tgid())
        .is_some_and(|call| calls::is_of(unsafe { (*call).op }, op))
}

/// The four programs of a copy. Copies leave a call alone that an earlier one has dealt with.
macro_rules! programs {
    (copies: $copies:literal, $enter_bind:ident, $exit_bind:ident, $enter_listen:ident, $exit_listen:ident) => {
        /// `syscalls:sys_enter_bind`
        #[tracepoint]
        pub fn $enter_bind(ctx: TracePointContext) -> u32 {
            if $copies && is_remembered(&ctx, op::BIND) {
                return 0;
            }
            undisturbed(|| bind_begins(&ctx)) as u32
        }

        /// `syscalls:sys_exit_bind`
        #[tracepoint]
        pub fn $exit_bind(ctx: TracePointContext) -> u32 {
            if $copies && !is_untold(op::BIND) {
                return 0;
            }
            undisturbed(|| ends(&ctx, op::BIND)) as u32
        }

        /// `syscalls:sys_enter_listen`
        #[tracepoint]
        pub fn $enter_listen(ctx: TracePointContext) -> u32 {
            if $copies && is_remembered(&ctx, op::LISTEN) {
                return 0;
            }
            undisturbed(|| listen_begins(&ctx)) as u32
        }

        /// `syscalls:sys_exit_listen`
        #[tracepoint]
        pub fn $exit_listen(ctx: TracePointContext) -> u32 {
            if $copies && !is_untold(op::LISTEN) {
                return 0;
            }
            undisturbed(|| ends(&ctx, op::LISTEN)) as u32
        }
    };
}

programs!(copies: false, enter_bind, exit_bind, enter_listen, exit_listen);
programs!(copies: true, enter_bind_2, exit_bind_2, enter_listen_2, exit_listen_2);
programs!(copies: true, enter_bind_3, exit_bind_3, enter_listen_3, exit_listen_3);
programs!(copies: true, enter_bind_4, exit_bind_4, enter_listen_4, exit_listen_4);
