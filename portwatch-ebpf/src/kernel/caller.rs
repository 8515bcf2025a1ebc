//! Arguments of a call under way: the address, in the caller's memory or the kernel's, and the caller's registers.

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
    /// Fills in a call whose entry was not seen, as far as the thread's registers tell.
    ///
    /// A call that seccomp refuses has a `sys_exit` and no `sys_enter`. The registers are the only source of its
    /// arguments.
    #[inline(always)]
    pub fn read_registers(&mut self) {
        self.enter_ns = 0;
        self.flags = flag::NO_ENTRY | flag::ADDRESS_UNREAD;
        let regs = user_registers();
        if regs == 0 {
            return;
        }
        // The kernel leaves them alone during a call, except that aarch64 puts the result in place of the first
        // argument.
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

    /// True if the current thread's registers have the arguments of this call.
    ///
    /// Where programs can be skipped, a call may be left whose return the kernel skipped. Its thread is in another one
    /// now.
    #[inline(always)]
    pub fn is_registers(&self) -> bool {
        let regs = user_registers();
        if regs == 0 || !has!(regs_arg1) {
            return true;
        }
        let fd = read::<u64>(regs, offset!(regs_arg0)) as i32;
        fd == self.fd && (self.op != op::BIND || arguments(regs).0 == self.user_address)
    }

    /// Reads the address from the caller's memory. Fails if the page is not present, because a program cannot wait for
    /// it: seen with a `static const` address that nothing had touched. The return tries again.
    #[inline(always)]
    pub fn read_address(&mut self) -> bool {
        // Neither condition is enough for the verifiers of 5.10 and 6.1: they forget the bounds of a number that was
        // compared in another register, and the compiler compares in another one. The mask is in the register that
        // counts. It is twice the size of the buffer, so that 128 itself stays 128.
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

    /// Reads an address that the kernel has copied already.
    #[inline(always)]
    pub fn read_kernel_address(&mut self, address: u64) -> bool {
        // Masked as in `read_address`.
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
///
/// The tracepoints of system calls leave those out on x86 (`trace_get_syscall_nr()`); hooks on functions see them.
#[inline(always)]
pub fn is_compat(task: u64) -> bool {
    has!(task_status) && read::<u32>(task, offset!(task_status)) & TS_COMPAT != 0
}

/// The registers with which the current thread made its system call; 0 where programs cannot ask for them (before
/// 5.15).
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
        // aarch64: an array, in the order of the arguments.
        let first = offset!(regs_arg0);
        (read(registers, first + 8), read(registers, first + 16))
    }
}
