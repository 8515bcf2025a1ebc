//! Paths of executables and control groups, as chains of names that lead outwards: user space turns them round.
//!
//! `bpf_d_path()` is for a few functions only, and tracepoints are not among them. Each step is a global function,
//! which the verifier looks at once, whatever the depth. Its state lies in the work area.
//!
//! The work area is passed as a raw pointer: a reference would promise the compiler that the steps leave it alone.

use aya_ebpf::helpers::generated::bpf_probe_read_kernel_str;
use portwatch_common::event::process::PATH_LEN;

use crate::{
    kernel::read::read,
    state::{
        globals::offset,
        work::{Context, PathCursor, ProcessWork},
    },
};

/// Longest name in a path. Docker's systemd scopes have 77 bytes.
const NAME_LEN: usize = 128;
/// Most names and mounts of a path: a loop for which the verifier needs an end.
const DEPTH: u32 = 32;

/// Answers of a step: go on, or the path ends here.
const GO_ON: u32 = 1;
const END: u32 = 0;

/// Writes the path of a `kernfs` node (a control group). Gives its length, and whether it is whole.
///
/// # Safety
///
/// `work` is the context's own work area.
#[inline(always)]
pub unsafe fn kernfs(context: Context, work: *mut ProcessWork, node: u64) -> (u32, bool) {
    // SAFETY: the caller's promise.
    unsafe {
        (*work).cursor = PathCursor {
            node,
            mnt: 0,
            len: 0,
            whole: 0,
        }
    };
    let mut steps = 0;
    while steps < DEPTH {
        if kernfs_step(context as u32) == END {
            break;
        }
        steps += 1;
    }
    // SAFETY: as above.
    unsafe { ((*work).cursor.len, (*work).cursor.whole != 0) }
}

/// Writes the path of an open file, across mounts, as `d_path()` does. Gives its length, and whether it is whole.
///
/// `d_path()` takes locks against renames, and this does not: a path that is renamed meanwhile can be a mixture.
///
/// # Safety
///
/// `work` is the context's own work area.
#[inline(always)]
pub unsafe fn file(context: Context, work: *mut ProcessWork, file: u64) -> (u32, bool) {
    let node = read(file, offset!(file_dentry));
    let mnt = read(file, offset!(file_mnt));
    // SAFETY: the caller's promise.
    unsafe {
        (*work).cursor = PathCursor {
            node,
            mnt,
            len: 0,
            whole: 0,
        }
    };
    let mut steps = 0;
    while steps < DEPTH {
        if file_step(context as u32) == END {
            break;
        }
        steps += 1;
    }
    // SAFETY: as above.
    unsafe { ((*work).cursor.len, (*work).cursor.whole != 0) }
}

#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn kernfs_step(context: u32) -> u32 {
    let Some(work) = ProcessWork::of(context) else {
        return END;
    };
    // SAFETY: a valid per-CPU value, which no program of another context touches.
    let work = unsafe { &mut *work };
    // Null ends it, as the parent of the root or as a node that cannot be read: only the first makes a whole path.
    let parent: u64 = read(work.cursor.node, offset!(kn_parent));
    if parent == 0 {
        // The root has no name.
        work.cursor.whole = u32::from(work.cursor.node != 0);
        return END;
    }
    let name = read(work.cursor.node, offset!(kn_name));
    work.cursor.node = parent;
    push(&mut work.cursor, work.record.cgroup.as_mut_ptr(), name)
}

#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn file_step(context: u32) -> u32 {
    let Some(work) = ProcessWork::of(context) else {
        return END;
    };
    // SAFETY: as in `kernfs_step`.
    let work = unsafe { &mut *work };
    let cursor = &mut work.cursor;
    let dentry = cursor.node;
    let parent: u64 = read(dentry, offset!(dentry_parent));
    // The root of a mount: the path goes on at its mountpoint in the outer mount. The outermost mount is its own
    // parent.
    if dentry == parent || dentry == read::<u64>(cursor.mnt, offset!(vfsmount_root)) {
        let mount = cursor.mnt - u64::from(offset!(mount_mnt));
        let outer: u64 = read(mount, offset!(mount_parent));
        if outer == mount || outer == 0 {
            cursor.whole = u32::from(outer != 0);
            return END;
        }
        cursor.node = read(mount, offset!(mount_mountpoint));
        cursor.mnt = outer + u64::from(offset!(mount_mnt));
        return GO_ON;
    }
    cursor.node = parent;
    push(
        cursor,
        work.record.exe.as_mut_ptr(),
        read(dentry, offset!(dentry_name)),
    )
}

/// Adds the string at `name`. Without room, or with a name that is too long or unreadable, the path ends and is not
/// whole.
#[inline(always)]
fn push(cursor: &mut PathCursor, buffer: *mut u8, name: u64) -> u32 {
    let len = cursor.len as usize;
    // Compared with room for the longest name, so that the verifier knows the end before it knows the length.
    if len > PATH_LEN - NAME_LEN {
        return END;
    }
    // SAFETY: `buffer` has `PATH_LEN` bytes, so a name fits.
    let copied = unsafe {
        bpf_probe_read_kernel_str(buffer.add(len).cast(), NAME_LEN as u32, name as *const _)
    };
    if copied <= 0 || copied >= NAME_LEN as i64 {
        return END;
    }
    cursor.len = (len + copied as usize) as u32;
    GO_ON
}
