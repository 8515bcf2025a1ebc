//! The programs, instruction by instruction: no compiler is needed for so few.

use std::{
    net::SocketAddrV4,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use nix::errno::Errno;

use super::Rule;

/// Commands of `bpf()`.
const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;

/// `BPF_FUNC_bind`.
const FUNC_BIND: i32 = 64;

/// Registers: the result, the first argument (the context), and the frame pointer.
const R0: u8 = 0;
const R2: u8 = 2;
const R3: u8 = 3;
const R10: u8 = 10;

/// Where a program goes.
#[derive(Clone, Copy)]
struct Place {
    /// `enum bpf_prog_type`.
    kind: u32,
    /// `enum bpf_attach_type`.
    attach: u32,
}

impl From<Rule> for Place {
    fn from(rule: Rule) -> Self {
        const CGROUP_SOCK: u32 = 9;
        const CGROUP_SOCK_ADDR: u32 = 18;
        let (kind, attach) = match rule {
            // BPF_CGROUP_INET4_BIND, BPF_CGROUP_INET4_POST_BIND, BPF_CGROUP_INET4_CONNECT.
            Rule::RefuseBind => (CGROUP_SOCK_ADDR, 8),
            Rule::RefuseBound => (CGROUP_SOCK, 12),
            Rule::BindAtConnect(_) => (CGROUP_SOCK_ADDR, 10),
        };
        Self { kind, attach }
    }
}

/// A loaded program.
pub(super) struct Program {
    fd: OwnedFd,
    place: Place,
}

/// The beginning of `union bpf_attr`, as `BPF_PROG_LOAD` reads it.
#[repr(C)]
struct Load {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
}

/// The same, as `BPF_PROG_ATTACH` reads it.
#[repr(C)]
struct Attach {
    target_fd: u32,
    program_fd: u32,
    place: u32,
    flags: u32,
}

impl Program {
    pub(super) fn load(rule: Rule) -> nix::Result<Self> {
        raise_memory_limit()?;
        let place = Place::from(rule);
        let code = match rule {
            Rule::RefuseBind | Rule::RefuseBound => vec![set(R0, 0), EXIT],
            Rule::BindAtConnect(to) => bind_at_connect(to),
        };
        let load = Load {
            prog_type: place.kind,
            insn_cnt: code.len() as u32,
            insns: code.as_ptr() as u64,
            license: c"MIT".as_ptr() as u64,
            log_level: 0,
            log_size: 0,
            log_buf: 0,
            kern_version: 0,
            prog_flags: 0,
            prog_name: [0; 16],
            prog_ifindex: 0,
            expected_attach_type: place.attach,
        };
        let fd = bpf(PROG_LOAD, &load)?;
        // SAFETY: the descriptor is new and nobody else's.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { fd, place })
    }

    /// The control group keeps the program for as long as it is there.
    pub(super) fn attach(&self, group: BorrowedFd<'_>) -> nix::Result<()> {
        let attach = Attach {
            target_fd: group.as_raw_fd().cast_unsigned(),
            program_fd: self.fd.as_raw_fd().cast_unsigned(),
            place: self.place.attach,
            flags: 0,
        };
        bpf(PROG_ATTACH, &attach).map(drop)
    }
}

/// Kernels before 5.11 count programs and maps as locked memory, those of the same user's other processes as well.
fn raise_memory_limit() -> nix::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: the limit outlives the call.
    let outcome = unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) };
    match Errno::result(outcome) {
        // Without CAP_SYS_RESOURCE it stays as it is, and may do.
        Ok(_) | Err(Errno::EPERM) => Ok(()),
        Err(errno) => Err(errno),
    }
}

fn bpf<A>(command: libc::c_int, attributes: &A) -> nix::Result<i32> {
    let attributes: *const A = attributes;
    // SAFETY: the attributes are of the type that the command reads, and what they point to outlives the call.
    let outcome = unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size_of::<A>()) };
    Errno::result(outcome).map(|result| result as i32)
}

/// Calls `bpf_bind()` and lets the connection pass, whatever comes of it.
fn bind_at_connect(to: SocketAddrV4) -> Vec<u64> {
    // The first half of a `struct sockaddr_in`; the second is zero.
    let mut address = [0; 8];
    address[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
    address[2..4].copy_from_slice(&to.port().to_be_bytes());
    address[4..].copy_from_slice(&to.ip().octets());
    let address = u64::from_ne_bytes(address);
    let [low, high] = [address as u32, (address >> 32) as u32].map(u32::cast_signed);
    vec![
        // BPF_LD | BPF_IMM | BPF_DW, in two parts.
        instruction(0x18, R2, 0, 0, low),
        instruction(0, 0, 0, 0, high),
        store(-16, R2),
        set(R2, 0),
        store(-8, R2),
        // BPF_ALU64 | BPF_MOV | BPF_X, and BPF_ADD | BPF_K.
        instruction(0xbf, R2, R10, 0, 0),
        instruction(0x07, R2, 0, 0, -16),
        set(R3, 16),
        // BPF_JMP | BPF_CALL.
        instruction(0x85, 0, 0, 0, FUNC_BIND),
        set(R0, 1),
        EXIT,
    ]
}

/// `BPF_JMP | BPF_EXIT`.
const EXIT: u64 = instruction(0x95, 0, 0, 0, 0);

/// `BPF_ALU64 | BPF_MOV | BPF_K`.
const fn set(register: u8, value: i32) -> u64 {
    instruction(0xb7, register, 0, 0, value)
}

/// `BPF_STX | BPF_MEM | BPF_DW`, on the stack.
const fn store(offset: i16, register: u8) -> u64 {
    instruction(0x7b, R10, register, offset, 0)
}

/// `struct bpf_insn`. Of the two registers in one byte the first is the lower on little-endian machines.
const fn instruction(code: u8, to: u8, from: u8, offset: i16, value: i32) -> u64 {
    let [offset_low, offset_high] = offset.to_ne_bytes();
    let [a, b, c, d] = value.to_ne_bytes();
    u64::from_ne_bytes([code, to | from << 4, offset_low, offset_high, a, b, c, d])
}
