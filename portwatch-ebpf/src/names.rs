//! Paths, as chains of names that lead outwards: executables and control groups.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use portwatch_common::event::process::PATH_LEN;

use crate::{globals::offset, read::read};

/// Longest single name that is kept whole. Docker's systemd scopes have 77 bytes.
const NAME_LEN: usize = 128;
/// How many names a path can have.
const DEPTH: usize = 24;

/// A path being written: names ended by NUL, innermost first.
pub struct Names {
    buffer: *mut u8,
    len: usize,
    /// The path's beginning is missing, or a name in it was too long.
    pub truncated: bool,
}

impl Names {
    /// # Safety
    ///
    /// `buffer` points at [`PATH_LEN`] writable bytes of a map value.
    #[inline(always)]
    pub const unsafe fn new(buffer: *mut u8) -> Self {
        Self { buffer, len: 0, truncated: true }
    }

    /// Bytes written.
    #[inline(always)]
    pub const fn len(&self) -> u32 {
        self.len as u32
    }

    /// Adds the string at `name`. False when there is no room, or nothing to add.
    #[inline(always)]
    fn push(&mut self, name: u64) -> bool {
        if self.len > PATH_LEN - NAME_LEN {
            return false;
        }
        // SAFETY: `len` leaves room for a name, checked above.
        let copied = unsafe {
            bpf_probe_read_kernel_str(self.buffer.add(self.len).cast(), NAME_LEN as u32, name as *const _)
        };
        if copied <= 0 || copied >= NAME_LEN as i64 {
            return false;
        }
        self.len += copied as usize;
        true
    }

    /// Writes the path of a `kernfs` node (a control group).
    #[inline(always)]
    pub fn kernfs(&mut self, mut node: u64) {
        for _ in 0..DEPTH {
            let parent: u64 = read(node, offset!(kn_parent));
            if parent == 0 {
                // The root has no name of its own.
                self.truncated = false;
                return;
            }
            if !self.push(read(node, offset!(kn_name))) {
                return;
            }
            node = parent;
        }
    }

    /// Writes the path of an open file, across mounts, as `d_path()` does.
    #[inline(always)]
    pub fn file(&mut self, file: u64) {
        let mut mnt: u64 = read(file, offset!(file_mnt));
        let mut dentry: u64 = read(file, offset!(file_dentry));
        for _ in 0..DEPTH {
            let parent: u64 = read(dentry, offset!(dentry_parent));
            if dentry == read::<u64>(mnt, offset!(vfsmount_root)) || dentry == parent {
                let mount = mnt - u64::from(offset!(mount_mnt));
                let outer: u64 = read(mount, offset!(mount_parent));
                if outer == mount || outer == 0 {
                    self.truncated = outer == 0;
                    return;
                }
                dentry = read(mount, offset!(mount_mountpoint));
                mnt = outer + u64::from(offset!(mount_mnt));
                continue;
            }
            if !self.push(read(dentry, offset!(dentry_name))) {
                return;
            }
            dentry = parent;
        }
    }
}
