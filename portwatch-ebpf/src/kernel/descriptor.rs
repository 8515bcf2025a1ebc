//! From a descriptor or a file to its socket.

use crate::{
    kernel::{read::read, task},
    state::globals::offset,
};

/// A socket behind a file: the `struct socket` and the `struct sock`.
#[derive(Clone, Copy)]
pub struct Found {
    pub socket: u64,
    pub sk: u64,
}

impl Found {
    const NOTHING: Self = Self { socket: 0, sk: 0 };
}

/// The socket behind a descriptor of the current task; zeros if there is none.
#[inline(always)]
pub fn from_fd(fd: i32) -> Found {
    let table = task::Pointer::current()
        .follow(offset!(task_files))
        .follow(offset!(files_fdt));
    if fd < 0 || fd as u32 >= table.read::<u32>(offset!(fdt_max)) {
        return Found::NOTHING;
    }
    // Its type is lost here: the verifier does not follow a pointer to pointers.
    let array: u64 = table.read(offset!(fdt_fd));
    if array == 0 {
        return Found::NOTHING;
    }
    from_file(read(array + u64::from(fd as u32) * 8, 0))
}

/// The socket behind a file; zeros if the file is none.
///
/// `socket->file == file` and `sk->sk_socket == socket` tell a socket's file from any other.
#[inline(always)]
pub fn from_file(file: u64) -> Found {
    let socket: u64 = read(file, offset!(file_private_data));
    if socket == 0 {
        return Found::NOTHING;
    }
    // Side by side on every kernel seen: one read for both.
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
