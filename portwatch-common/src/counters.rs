//! Counters for each CPU: what hooks saw and what became of it.
//!
//! They lie in an array that user space maps into its memory. Reading them by system call would cost attempts: during
//! such a call the kernel skips tracepoint programs on that CPU (`bpf_disable_instrumentation()`).

/// Index into a CPU's part of the `COUNTERS` array.
///
/// After detaching, `Seen == Submitted + Lost + Filtered` over the attempts.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Attempts that ended while every hook was attached.
    Seen = 0,
    /// Attempts handed to the ring buffer.
    Submitted = 1,
    /// Attempts that found no room in the ring buffer.
    Lost = 2,
    /// Attempts that the user's filters left out.
    Filtered = 3,
    /// Records of processes (fork, exec, first bind, signal, exit) handed to the ring buffer.
    ProcessSubmitted = 4,
    /// Records of processes that found no room.
    ProcessLost = 5,
    /// Calls without room in the table of calls, which are reported without their entry.
    CallsFull = 6,
    /// Owners that another socket's owner has overwritten.
    OwnerEvicted = 7,
    /// Bound sockets for which the index had no room; the walk may still find them.
    IndexFull = 8,
    /// Records of ports and `TIME_WAIT`s handed to the ring buffer.
    PortSubmitted = 9,
    /// Records of ports and `TIME_WAIT`s that found no room.
    PortLost = 10,
}

/// How many counters there are.
pub const COUNTERS: u32 = 11;

/// Places of a CPU's part of the array: two cache lines, which no other CPU writes to.
pub const STRIDE: u32 = 16;
