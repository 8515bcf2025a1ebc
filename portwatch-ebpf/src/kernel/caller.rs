//! What the caller of a system call passed: its address, and the registers that the call was made with.

use aya_ebpf::helpers::generated::{
    bpf_get_current_task_btf, bpf_probe_read_kernel, bpf_probe_read_user, bpf_task_pt_regs,
};
use portwatch_common::event::attempt::{SOCKADDR_LEN, flag, op};

use crate::{
    kernel::read::read,
    state::{
        calls::Call,
        globals::{has, offset},
    },
};

impl Call {
    /// Makes it a call of the current thread whose entry was not seen, as far as its registers tell.
    #[inline(always)]
    pub fn read_registers(&mut self) {
        self.enter_ns = 0;
        self.flags = flag::NO_ENTRY | flag::ADDRESS_UNREAD;
        let regs = user_registers();
        if regs == 0 {
            return;
        }
        // The kernel leaves them as they were: only where aarch64 keeps the first argument, it puts the result.
        if has!(regs_arg1) {
            self.fd = read::<u64>(regs, offset!(regs_arg0)) as i32;
        }
        let (second, third) = arguments(regs);
        if self.op == op::LISTEN {
            self.backlog = second as i32;
            return;
        }
        self.user_address = second;
        self.addrlen = third as u32;
        if self.read_address() {
            self.flags = flag::NO_ENTRY | flag::ADDRESS_READ_LATE;
        }
    }

    /// True if this is the call that the current thread's registers tell of.
    #[inline(always)]
    pub fn is_registers(&self) -> bool {
        let regs = user_registers();
        if regs == 0 || !has!(regs_arg1) {
            return true;
        }
        let fd = read::<u64>(regs, offset!(regs_arg0)) as i32;
        fd == self.fd && (self.op != op::BIND || arguments(regs).0 == self.user_address)
    }

    /// Reads the caller's address. Fails where the page is not in memory: a program may not wait for it.
    #[inline(always)]
    pub fn read_address(&mut self) -> bool {
        // The kernel refuses a length that does not fit. Masked, because the verifier forgets a comparison that the
        // compiler has moved.
        let len = self.addrlen & (2 * SOCKADDR_LEN as u32 - 1);
        if len == 0 || len > SOCKADDR_LEN as u32 {
            return false;
        }
        // SAFETY: `len` is at most the size of the buffer; the helper cannot fault.
        let failed = unsafe {
            bpf_probe_read_user(
                self.sockaddr.as_mut_ptr().cast(),
                len,
                self.user_address as *const _,
            )
        };
        failed == 0
    }

    /// Reads an address that is in the kernel already.
    #[inline(always)]
    pub fn read_kernel_address(&mut self, address: u64) -> bool {
        // Masked for the verifier, as in `read_address`.
        let len = self.addrlen & (2 * SOCKADDR_LEN as u32 - 1);
        if len == 0 || len > SOCKADDR_LEN as u32 {
            return false;
        }
        // SAFETY: `len` is at most the size of the buffer; the helper cannot fault.
        let failed = unsafe {
            bpf_probe_read_kernel(self.sockaddr.as_mut_ptr().cast(), len, address as *const _)
        };
        failed == 0
    }
}

/// `TS_COMPAT` of `arch/x86/include/asm/thread_info.h`.
const TS_COMPAT: u32 = 2;

/// True if a task is in a 32-bit system call.
#[inline(always)]
pub fn is_compat(task: u64) -> bool {
    has!(task_status) && read::<u32>(task, offset!(task_status)) & TS_COMPAT != 0
}

/// Where the registers of the current thread are that its system call was made with; 0 where a program may not ask
/// (before 5.15).
#[inline(always)]
fn user_registers() -> u64 {
    if !has!(helper_task_pt_regs) {
        return 0;
    }
    // SAFETY: the helpers have no conditions.
    unsafe { bpf_task_pt_regs(bpf_get_current_task_btf()) as u64 }
}

/// The second and third argument of a system call, from its registers.
#[inline(always)]
fn arguments(registers: u64) -> (u64, u64) {
    if has!(regs_arg1) {
        (
            read(registers, offset!(regs_arg1)),
            read(registers, offset!(regs_arg2)),
        )
    } else {
        let first = offset!(regs_arg0);
        (read(registers, first + 8), read(registers, first + 16))
    }
}
