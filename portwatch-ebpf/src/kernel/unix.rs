//! `struct unix_sock`: names of the unix family, and whether `bind()` gave them.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use portwatch_common::event::{
    socket::state,
    unix::{NAME_LEN, UnixSocket, role},
};

use crate::{
    kernel::read::read,
    state::globals::{has, offset},
};

/// `SOCK_DGRAM`.
const SOCK_DGRAM: u16 = 2;
/// Highest hash of a socket without an abstract name, where each namespace has a table: `UNIX_HASH_MOD` of
/// `include/net/af_unix.h`.
const NOT_ABSTRACT: u32 = 255;
/// Size of `sa_family_t`, in front of a name.
const FAMILY_LEN: u32 = 2;

/// Fills in a socket that has a name. False if it has none.
#[inline(always)]
pub fn describe(sk: u64, row: &mut UnixSocket) -> bool {
    if !has!(unix_addr) || !has!(unix_addr_len) || !has!(unix_addr_name) {
        return false;
    }
    let address: u64 = read(sk, offset!(unix_addr));
    if address == 0 {
        return false;
    }
    let len: u32 = read(address, offset!(unix_addr_len));
    // For the verifier: a length within the row. Masked and not compared, as in `Call::read_address`.
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

/// Whether `bind()` gave the socket its name.
///
/// An accepted connection has the name of its listener (`unix_stream_connect()`). It is connected, as a client is that
/// bound itself: the state does not tell the two apart.
#[inline(always)]
fn whose(sk: u64, address: u64, row: &UnixSocket) -> u8 {
    if row.socket_type == SOCK_DGRAM || row.state != state::ESTABLISHED {
        return role::NAMED;
    }
    if has!(net_unix_table) {
        // `bind()` puts a file's socket into a table (`unix_insert_bsd_socket()`), and gives an abstract one a hash.
        let bound = if row.file == 0 {
            read::<u32>(sk, offset!(skc_hash)) > NOT_ABSTRACT
        } else {
            // `pprev` of the link; 0 if the socket is in no table.
            read::<u64>(sk, offset!(skc_bind_node) + 8) != 0
        };
        return if bound { role::NAMED } else { role::ACCEPTED };
    }
    // An accepted connection shares the listener's address; a client has one of its own.
    if read::<u32>(address, offset!(unix_addr_refs)) > 1 {
        role::ACCEPTED
    } else {
        role::UNKNOWN
    }
}
