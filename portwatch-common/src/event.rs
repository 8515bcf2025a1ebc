//! Records of the ring buffer, one file a subject.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub mod attempt;
pub mod holder;
pub mod keeper;
pub mod owner;
pub mod port;
pub mod process;
pub mod socket;
pub mod time_wait;
pub mod unix;

/// What a record is about.
#[repr(u16)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`attempt::Attempt`]: a `bind()` or `listen()` has ended, without a walk of the bind table.
    Attempt = 1,
    /// [`attempt::Conflict`]: it has ended with `EADDRINUSE`, and the bind table was walked.
    Conflict = 2,
    /// [`process::Process`]: what a process is, at exec or at its first attempt.
    Process = 3,
    /// [`process::Exit`]: a process has ended.
    Exit = 4,
    /// [`port::Port`]: a watched port was taken or released.
    Port = 5,
    /// [`time_wait::TimeWait`]: a `TIME_WAIT` of a watched port began, was re-armed or ended.
    TimeWait = 6,
    /// [`process::Fork`]: a process has made another one.
    Fork = 7,
    /// [`process::Signal`]: a process was sent a signal that may end it.
    Signal = 8,
}

impl Kind {
    /// The kind with this number; `None` for a number of another version.
    #[must_use]
    pub const fn from_raw(raw: u16) -> Option<Self> {
        match raw {
            1 => Some(Self::Attempt),
            2 => Some(Self::Conflict),
            3 => Some(Self::Process),
            4 => Some(Self::Exit),
            5 => Some(Self::Port),
            6 => Some(Self::TimeWait),
            7 => Some(Self::Fork),
            8 => Some(Self::Signal),
            _ => None,
        }
    }
}

/// First bytes of every record.
#[repr(C)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Header {
    /// When the record was made: `CLOCK_BOOTTIME`, nanoseconds.
    pub boot_ns: u64,
    /// [`Kind`].
    pub kind: u16,
    /// Length of the whole record in bytes.
    pub len: u16,
    /// The CPU that made it.
    pub cpu: u32,
}
