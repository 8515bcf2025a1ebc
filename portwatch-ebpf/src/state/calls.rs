//! What is remembered of a call between its entry and its return.

use aya_ebpf::helpers::{
    bpf_get_current_pid_tgid,
    generated::{bpf_ktime_get_boot_ns, bpf_probe_read_user},
};
use portwatch_common::{
    counters::Counter,
    endpoint::{AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC},
    event::attempt::{SOCKADDR_LEN, Stages, flag, op},
};

use crate::{
    kernel::{read::read, task},
    records::emit,
    state::{
        globals::{has, offset},
        maps::CALLS,
    },
};

/// A call under way.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Call {
    /// When it began: `CLOCK_BOOTTIME`, ns.
    pub enter_ns: u64,
    /// Where the caller keeps the address.
    pub user_address: u64,
    /// [`portwatch_common::event::attempt::op`]; 0 for a family that has no ports and no paths.
    pub op: u32,
    pub fd: i32,
    pub addrlen: u32,
    pub backlog: i32,
    /// [`flag`] bits.
    pub flags: u32,
    pub reserved: u32,
    /// How far it has got.
    pub stages: Stages,
    pub sockaddr: [u8; SOCKADDR_LEN],
}

/// The call that a thread (`pid_tgid`) is in, if it is traced.
#[inline(always)]
pub fn current(thread: u64) -> Option<*mut Call> {
    CALLS.get_ptr_mut(&thread)
}

impl Call {
    /// A call that begins now.
    #[inline(always)]
    pub fn new(op: u32, fd: i32) -> Self {
        Self {
            // SAFETY: the helper has no conditions.
            enter_ns: unsafe { bpf_ktime_get_boot_ns() },
            user_address: 0,
            op,
            fd,
            addrlen: 0,
            backlog: 0,
            flags: 0,
            reserved: 0,
            stages: Stages::NONE,
            sockaddr: [0; SOCKADDR_LEN],
        }
    }

    /// Makes it a call of the current thread whose entry was not seen, as far as its registers tell.
    #[inline(always)]
    pub fn read_registers(&mut self) {
        self.enter_ns = 0;
        self.flags = flag::NO_ENTRY | flag::ADDRESS_UNREAD;
        let regs = task::user_registers();
        if regs == 0 {
            return;
        }
        // The kernel leaves them as they were: only where aarch64 keeps the first argument, it puts the result.
        if has!(regs_arg1) {
            self.fd = read::<u64>(regs, offset!(regs_arg0)) as i32;
        }
        let (second, third) = task::arguments(regs);
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
        let regs = task::user_registers();
        if regs == 0 || !has!(regs_arg1) {
            return true;
        }
        let fd = read::<u64>(regs, offset!(regs_arg0)) as i32;
        fd == self.fd && (self.op != op::BIND || task::arguments(regs).0 == self.user_address)
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

    #[inline(always)]
    pub const fn family(&self) -> u16 {
        u16::from_ne_bytes([self.sockaddr[0], self.sockaddr[1]])
    }

    /// True for the families that are recorded.
    #[inline(always)]
    pub const fn is_of_interest(&self) -> bool {
        matches!(self.family(), AF_UNSPEC | AF_UNIX | AF_INET | AF_INET6)
    }

    /// Remembers a call of the current thread.
    #[inline(always)]
    pub fn remember(&self) {
        if CALLS.insert(&bpf_get_current_pid_tgid(), self, 0).is_err() {
            emit::count(Counter::CallsFull);
        }
    }
}
