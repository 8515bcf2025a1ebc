//! Who has a name of the unix family: `iter/task_file`, over every descriptor of every process.

use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_seq_write};
use portwatch_common::{
    endpoint::AF_UNIX,
    event::{
        socket::state,
        unix::{NAME_LEN, UnixSocket, role},
    },
    maps::query,
};

use crate::{
    hooks::holders::{FD, FILE, TASK, TaskFile},
    kernel::{read::read, sock, task},
    state::{
        globals::{has, offset},
        maps::QUERY,
    },
};

/// `SOCK_DGRAM`.
const SOCK_DGRAM: u16 = 2;
/// Highest hash of a socket without an abstract name where names are kept by namespace: `UNIX_HASH_MOD` of
/// `include/net/af_unix.h`.
const NOT_ABSTRACT: u32 = 255;
/// `sa_family_t`, in front of a name.
const FAMILY_LEN: u32 = 2;

/// For each descriptor that is a unix socket with an address: a row. And one for the file that is asked for.
#[unsafe(link_section = "iter/task_file")]
#[unsafe(no_mangle)]
pub extern "C" fn unix_sockets(ctx: *mut TaskFile) -> i32 {
    // SAFETY: the kernel's context; `meta` is always there.
    let seq = unsafe { (*(*ctx).meta).seq };
    let base = ctx as u64;
    let thread: u64 = read(base, TASK);
    let file: u64 = read(base, FILE);
    if thread == 0 || file == 0 {
        return 0;
    }
    let mut row = UnixSocket::NONE;
    row.fd = read(base, FD);
    row.tgid = read(thread, offset!(task_tgid));
    if is_asked(row.tgid, row.fd) {
        row.role = role::FILE;
        row.file = read(read(file, offset!(file_dentry)), offset!(dentry_inode));
    } else {
        let sk = sock::from_file(file).sk;
        if sk == 0 || read::<u16>(sk, offset!(skc_family)) != AF_UNIX || !describe(sk, &mut row) {
            return 0;
        }
        let leader = task::leader(thread);
        row.start_boot_ns = task::start_boot_ns(leader);
        row.comm = task::comm(leader);
    }
    // SAFETY: the iterator's own file, and a whole row. When the file's buffer is full the kernel calls again.
    let _ = unsafe {
        bpf_seq_write(
            seq.cast(),
            (&raw mut row).cast(),
            size_of::<UnixSocket>() as u32,
        )
    };
    0
}

/// True for the descriptor that the reader asks about: it is one of its own.
#[inline(always)]
fn is_asked(tgid: u32, fd: u32) -> bool {
    let asked = QUERY.get(query::FD as u32).copied().unwrap_or_default();
    asked != 0 && asked == u64::from(fd) + 1 && tgid == task::tgid()
}

/// Fills in a socket that shows a name.
#[inline(always)]
fn describe(sk: u64, row: &mut UnixSocket) -> bool {
    if !has!(unix_addr) || !has!(unix_addr_len) || !has!(unix_addr_name) {
        return false;
    }
    let address: u64 = read(sk, offset!(unix_addr));
    if address == 0 {
        return false;
    }
    let len: u32 = read(address, offset!(unix_addr_len));
    // For the verifier: a length that lies within the row.
    let len = len.saturating_sub(FAMILY_LEN) & (NAME_LEN as u32 - 1);
    let name = address + u64::from(offset!(unix_addr_name)) + u64::from(FAMILY_LEN);
    // SAFETY: the destination has room for `NAME_LEN` bytes; the helper cannot fault on the source.
    let failed =
        unsafe { bpf_probe_read_kernel((&raw mut row.name).cast(), len, name as *const _) };
    if failed != 0 {
        return false;
    }
    row.name_len = len;
    row.socket_type = read(sk, offset!(sk_type));
    row.state = read(sk, offset!(skc_state));
    row.netns = read(read(sk, offset!(skc_net)), offset!(net_inum));
    let socket: u64 = read(sk, offset!(sk_socket));
    let inode = socket - u64::from(offset!(alloc_socket)) + u64::from(offset!(alloc_inode));
    row.inode = read(inode, offset!(i_ino));
    row.file = read(read(sk, offset!(unix_dentry)), offset!(dentry_inode));
    row.role = whose(sk, address, row);
    true
}

/// Whether `bind()` gave the socket its name. An accepted connection shows that of its listener
/// (`unix_stream_connect()`), and like a client that bound itself it is connected.
#[inline(always)]
fn whose(sk: u64, address: u64, row: &UnixSocket) -> u8 {
    if row.socket_type == SOCK_DGRAM || row.state != state::ESTABLISHED {
        return role::NAMED;
    }
    if has!(net_unix_table) {
        // A file's socket is in the table of those (`unix_insert_bsd_socket()`), an abstract one has a hash of its own.
        let bound = if row.file == 0 {
            read::<u32>(sk, offset!(skc_hash)) > NOT_ABSTRACT
        } else {
            // `pprev` of the link: not linked in if it is 0.
            read::<u64>(sk, offset!(skc_bind_node) + 8) != 0
        };
        return if bound { role::NAMED } else { role::ACCEPTED };
    }
    // A client's address is its own.
    if read::<u32>(address, offset!(unix_addr_refs)) > 1 {
        role::ACCEPTED
    } else {
        role::UNKNOWN
    }
}
