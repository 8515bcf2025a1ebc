//! `IORING_OP_BIND` and `IORING_OP_LISTEN` (6.11), through tp_btf of io_uring's tracepoints.
//!
//! Neither tracepoint's fields suffice: the request itself is read. `io_uring_submit_req` sees it before it runs,
//! `io_uring_complete` when its result is there and its file is still open.

use aya_ebpf::{
    helpers::generated::bpf_probe_read_kernel, macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use portwatch_common::{
    endpoint::{AF_INET, AF_INET6, AF_UNIX},
    event::attempt::{SOCKADDR_LEN, flag, op},
};

use crate::{
    kernel::{
        descriptor,
        preempt::undisturbed,
        read::{launder, read},
    },
    records::attempt::{self, begin},
    state::{
        calls::{self, Call},
        globals::{has, offset},
        work::Context,
    },
};

/// TP_PROTO(struct io_kiocb *req)
#[btf_tracepoint(function = "io_uring_submit_req")]
pub fn uring_submit(ctx: BtfTracePointContext) -> i32 {
    undisturbed(|| {
        if !has!(op_bind) || !has!(req_opcode) {
            return 0;
        }
        let req = launder(&ctx, 0);
        let opcode = u32::from(read::<u8>(req, offset!(req_opcode)));
        let op = if opcode == offset!(op_bind) {
            op::BIND
        } else if opcode == offset!(op_listen) {
            op::LISTEN
        } else {
            // Requests are recycled: one that completed unseen (`IOSQE_CQE_SKIP_SUCCESS`) must not lend its entry to this one.
            calls::remove_request(req);
            return 0;
        };
        let mut call = Call::new(op, -1);
        call.flags = flag::IO_URING;
        call.remember_request(req);
        0
    })
}

/// TP_PROTO(struct io_ring_ctx *ctx, void *req, ...)
#[btf_tracepoint(function = "io_uring_complete")]
pub fn uring_complete(ctx: BtfTracePointContext) -> i32 {
    undisturbed(|| {
        let req = launder(&ctx, 1);
        let Some(call) = calls::of_request(req) else {
            return 0;
        };
        // SAFETY: a valid map value; a request completes once.
        let call = unsafe { &mut *call };
        let opcode = u32::from(read::<u8>(req, offset!(req_opcode)));
        if opcode != offset!(op_bind) && opcode != offset!(op_listen) {
            calls::remove_request(req);
            return 0;
        }
        let sk = descriptor::from_file(read(req, offset!(req_file))).sk;
        if call.op == op::BIND {
            address(req, sk, call);
        }
        let result = read::<i32>(req, offset!(req_result));
        begin::begin(Context::Btf, call, i64::from(result));
        calls::remove_request(req);
        attempt::complete(Context::Btf, sk);
        0
    })
}

/// The address that `io_bind_prep()` copied from the caller.
///
/// It is the first thing in the request's data on some kernels, and behind the message's vector on others. A vector
/// begins with a pointer, whose low 16 bits are never an address family: it is aligned to eight.
#[inline(always)]
fn address(req: u64, sk: u64, call: &mut Call) {
    let data: u64 = read(req, offset!(req_async_data));
    let family: u16 = read(sk, offset!(skc_family));
    let first: u16 = read(data, 0);
    let at = if first == AF_INET || first == AF_INET6 || !has!(io_msghdr_addr) {
        data
    } else {
        data + u64::from(offset!(io_msghdr_addr))
    };
    // SAFETY: the buffer has that length; the helper cannot fault.
    let failed = unsafe {
        bpf_probe_read_kernel(
            call.sockaddr.as_mut_ptr().cast(),
            SOCKADDR_LEN as u32,
            at as *const _,
        )
    };
    // How long a path is, is not known here: what lies behind it is of an earlier request.
    if data == 0 || failed != 0 || call.family() != family || family == AF_UNIX {
        call.flags |= flag::ADDRESS_UNREAD;
    }
    call.addrlen = if family == AF_INET { 16 } else { 28 };
}
