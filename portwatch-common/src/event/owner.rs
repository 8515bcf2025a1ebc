//! Owners: the process that got a port. The kernel side keeps a connection's by its cookie, which its `TIME_WAIT`
//! inherits, and a bound socket's by its inode, which it has from its first moment.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Acts of a process that made it an owner.
pub mod role {
    /// It called `connect()`: the port is a source port.
    pub const CONNECTED: u32 = 1;
    /// It closed the connection.
    pub const CLOSED: u32 = 2;
    /// It bound the port, or listened without binding first.
    pub const BOUND: u32 = 4;
    /// It accepted the connection.
    pub const ACCEPTED: u32 = 8;
}

/// A slot of a direct-mapped array, indexed by the low bits of its key: `OWNERS` by cookie, `BOUND_OWNERS` by inode.
///
/// Nothing keeps two CPUs from writing a slot at once, for the old kernels have no atomic claim. A record whose
/// [`Owner::seal`] is not that of its fields is a mixture of two, or half of one, and is taken for none. Another key means
/// that the record was overwritten (counted as evicted).
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Owner {
    /// The full key.
    pub key: u64,
    /// When it got the port, by `bind()` or `connect()` (`CLOCK_BOOTTIME`, ns); 0 when that was not seen.
    pub since_ns: u64,
    /// When it was closed (`CLOCK_BOOTTIME`, ns); 0 when that was not seen.
    pub closed_ns: u64,
    /// Start time of the process (`CLOCK_BOOTTIME`, ns).
    pub start_boot_ns: u64,
    /// Process id.
    pub tgid: u32,
    /// Parent's process id.
    pub ppid: u32,
    /// Real user id.
    pub uid: u32,
    /// Bit set of [`role`]: what was seen of it.
    pub roles: u32,
    /// Name of the process's leader thread.
    pub comm: [u8; 16],
    /// [`Owner::seal_of`] the rest.
    pub seal: u64,
}

impl Owner {
    /// Nothing was recorded.
    pub const NONE: Self = Self {
        key: 0,
        since_ns: 0,
        closed_ns: 0,
        start_boot_ns: 0,
        tgid: 0,
        ppid: 0,
        uid: 0,
        roles: 0,
        comm: [0; 16],
        seal: 0,
    };

    /// A sum over every other field, in which no single one can differ.
    #[expect(
        clippy::inline_always,
        reason = "a function of its own would need stack that a BPF program has not"
    )]
    #[inline(always)]
    #[must_use]
    pub fn seal_of(&self) -> u64 {
        // SAFETY: a whole record.
        unsafe { Self::seal_at(self) }
    }

    /// The same of a record that others may be writing, read word by word: programs have little room for a copy.
    ///
    /// # Safety
    ///
    /// `at` can be read.
    #[inline(always)]
    #[must_use]
    pub unsafe fn seal_at(at: *const Self) -> u64 {
        const SEALED: usize = core::mem::offset_of!(Owner, seal) / size_of::<u64>();
        let words = at.cast::<u64>();
        let mut sum = 0;
        for i in 0..SEALED {
            // SAFETY: within the record, which has no padding and the alignment of a word.
            sum = mix(sum, unsafe { words.add(i).read_volatile() });
        }
        sum
    }
}

/// The golden ratio, as in the kernel's `hash_64()`; odd, so that nothing is lost by it.
#[expect(
    clippy::inline_always,
    reason = "a function of its own would need stack that a BPF program has not"
)]
#[inline(always)]
const fn mix(sum: u64, word: u64) -> u64 {
    (sum ^ word)
        .wrapping_mul(0x61c8_8646_80b5_83eb)
        .rotate_left(23)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mixture_of_two_owners_has_another_seal() {
        let one = Owner {
            key: 7,
            since_ns: 1,
            start_boot_ns: 2,
            tgid: 100,
            uid: 1000,
            roles: role::BOUND,
            comm: *b"nginx\0\0\0\0\0\0\0\0\0\0\0",
            ..Owner::NONE
        };
        let mixtures = [
            Owner { key: 8, ..one },
            Owner { since_ns: 3, ..one },
            Owner {
                closed_ns: 3,
                ..one
            },
            Owner {
                start_boot_ns: 3,
                ..one
            },
            Owner { tgid: 101, ..one },
            Owner { ppid: 1, ..one },
            Owner { uid: 1001, ..one },
            Owner {
                roles: role::CLOSED,
                ..one
            },
            Owner {
                comm: *b"nginx: worker\0\0\0",
                ..one
            },
            Owner::NONE,
        ];
        for mixture in mixtures {
            assert_ne!(mixture.seal_of(), one.seal_of(), "{mixture:?}");
        }
    }
}
