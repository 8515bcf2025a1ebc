//! The way from a descriptor or a file to its socket.
//!
//! Nothing here takes a reference. Before a call returns, another thread can close its descriptor and open a file in
//! its place: then this finds the new one.

use crate::{
    kernel::{read::read, task},
    state::globals::offset,
};

/// The socket of a file.
#[derive(Clone, Copy)]
pub struct Found {
    /// `struct socket`.
    pub socket: u64,
    /// `struct sock`.
    pub sk: u64,
}

impl Found {
    const NOTHING: Self = Self { socket: 0, sk: 0 };
}

/// The socket of a descriptor of the current task; zeros if there is none.
#[inline(always)]
pub fn from_fd(fd: i32) -> Found {
    let table = task::Pointer::current()
        .follow(offset!(task_files))
        .follow(offset!(files_fdt));
    // The size and the array are of one `fdtable`, which never grows: a larger one is a new one.
    if fd < 0 || fd as u32 >= table.read::<u32>(offset!(fdt_max)) {
        return Found::NOTHING;
    }
    // From here on through probe reads: the verifier does not follow a pointer to pointers.
    let array: u64 = table.read(offset!(fdt_fd));
    if array == 0 {
        return Found::NOTHING;
    }
    from_file(read(array + u64::from(fd as u32) * 8, 0))
}

/// The socket of a file; zeros if the file is not a socket's.
///
/// `private_data` of another file is of another type. The kernel tells by `f_op`, an address that programs do not know
/// (`bpf_sock_from_file()` came with 5.11). The two pointers back tell as well: `socket->file == file` and
/// `sk->sk_socket == socket` hold for a socket only.
#[inline(always)]
pub fn from_file(file: u64) -> Found {
    let socket: u64 = read(file, offset!(file_private_data));
    if socket == 0 {
        return Found::NOTHING;
    }
    // Side by side on every kernel that was seen: one read for both.
    let [its_file, sk] = if offset!(socket_sk) == offset!(socket_file) + 8 {
        read(socket, offset!(socket_file))
    } else {
        [
            read(socket, offset!(socket_file)),
            read(socket, offset!(socket_sk)),
        ]
    };
    if its_file != file || read::<u64>(sk, offset!(sk_socket)) != socket {
        return Found::NOTHING;
    }
    Found { socket, sk }
}
