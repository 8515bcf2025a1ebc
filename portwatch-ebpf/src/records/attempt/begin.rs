//! The beginning of an attempt's record: facts of the call alone.

use aya_ebpf::helpers::{bpf_get_current_pid_tgid, generated::bpf_ktime_get_boot_ns};
use portwatch_common::event::attempt::{flag, op};

use crate::{
    kernel::descriptor,
    state::{
        calls::{self, Call, IGNORED_LISTEN},
        globals::config,
        work::{Context, Work},
    },
};

/// Answer instead of a socket: the call is not recorded. No socket has this address.
pub const NOT_OF_INTEREST: u64 = u64::MAX;

/// Begins the record of a system call that returns, and gives its socket.
///
/// A function of its own, for the stack: up to 6.12, functions that call each other share 512 bytes.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn begin_returned(op: u32, result: i64) -> u64 {
    let thread = bpf_get_current_pid_tgid();
    // An entry of the other kind is left from a call whose return the kernel skipped.
    // SAFETY: a valid map value, which only this thread's own hooks write.
    let call = calls::current(thread).filter(|call| unsafe { calls::is_of((**call).op, op) });
    let Some(call) = call else {
        return find(begin_unseen(op, result));
    };
    // SAFETY: as above.
    let call = unsafe { &mut *call };
    // Of the same kind it can be left only where programs are preempted and skipped. The registers tell.
    if config!(keeps_cpu) != 0 && !call.is_registers() {
        return find(begin_unseen(op, result));
    }
    let sk = begin_seen(call, result);
    calls::remove(thread);
    sk
}

/// Begins the record of a call whose entry was seen.
#[inline(always)]
fn begin_seen(call: &mut Call, result: i64) -> u64 {
    if call.op == 0 || call.op == IGNORED_LISTEN {
        return NOT_OF_INTEREST;
    }
    if call.flags & flag::ADDRESS_UNREAD != 0 && call.read_address() {
        call.flags = flag::ADDRESS_READ_LATE;
    }
    // An address that was read late may turn out to be of a family that is not recorded.
    if call.op == op::BIND && call.flags & flag::ADDRESS_UNREAD == 0 && !call.is_of_interest() {
        return NOT_OF_INTEREST;
    }
    begin(Context::Tracepoint, call, result);
    find(call.fd)
}

/// The socket of the descriptor of the call that returns.
#[inline(always)]
fn find(fd: i32) -> u64 {
    let found = descriptor::from_fd(fd);
    if let Some(work) = Work::of(Context::Tracepoint as u32) {
        // SAFETY: a valid per-CPU value, which no program of another context touches.
        unsafe { (*work).socket = found.socket };
    }
    found.sk
}

/// Begins the record of a call without an entry, and gives its descriptor.
///
/// seccomp refused it before the entry, or it began before the entry's program was attached. A function of its own,
/// because its [`Call`] lies on the stack.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn begin_unseen(op: u32, result: i64) -> i32 {
    let mut call = Call::new(op, -1);
    call.read_registers();
    begin(Context::Tracepoint, &call, result);
    call.fd
}

/// Begins the record of an attempt in the work area.
#[inline(always)]
pub fn begin(context: Context, call: &Call, result: i64) {
    let Some(work) = Work::of(context as u32) else {
        return;
    };
    // SAFETY: a valid per-CPU value, which no program of another context touches.
    let work = unsafe { &mut *work };
    work.socket = 0;
    let attempt = &mut work.conflict.attempt;
    attempt.op = call.op;
    attempt.errno = if result < 0 { (-result) as u32 } else { 0 };
    attempt.fd = call.fd;
    attempt.addrlen = call.addrlen;
    attempt.backlog = call.backlog;
    attempt.flags = call.flags;
    attempt.stages = call.stages;
    attempt.enter_ns = call.enter_ns;
    // SAFETY: the helper has no conditions.
    attempt.returned_ns = unsafe { bpf_ktime_get_boot_ns() };
    attempt.sockaddr = call.sockaddr;
}
