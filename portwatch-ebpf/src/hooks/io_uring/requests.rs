//! `io_uring`'s bind and listen, at tp_btf of its tracepoints, where functions cannot be hooked.
//!
//! The fields of the tracepoints do not suffice: `io_uring_submit_req` has the operation without file or address, and
//! `io_uring_complete` the result without the operation. Their tp_btf form gives the request itself. At completion its
//! result is there and its file is still open.

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
            // Requests are recycled. One that completed unseen (`IOSQE_CQE_SKIP_SUCCESS`) must not lend its entry to
            // this one.
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
        // SAFETY: a valid map value. A request completes once.
        let call = unsafe { &mut *call };
        let opcode = u32::from(read::<u8>(req, offset!(req_opcode)));
        // The entry is of an earlier request at this address.
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

/// Reads the address that `io_bind_prep()` copied from the caller.
///
/// Kernels keep it in different places, and BTF does not tell which: some have a bare `sockaddr_storage` in
/// `async_data`, others a message that begins with a vector. A vector begins with a pointer, aligned to eight: its low
/// 16 bits are never 2 or 10, the families of IPv4 and IPv6.
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
    // The family proves that this is the address. A unix path is left out: its length is not known here, and bytes of
    // an earlier request lie behind it.
    if data == 0 || failed != 0 || call.family() != family || family == AF_UNIX {
        call.flags |= flag::ADDRESS_UNREAD;
    }
    call.addrlen = if family == AF_INET { 16 } else { 28 };
}
