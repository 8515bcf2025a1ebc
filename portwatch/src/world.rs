//! What has been seen so far. Pure, bounded, and what is dropped for room is counted.

pub mod lineages;
pub mod processes;
pub mod sockets;
pub mod time_waits;

pub use lineages::Lineages;
pub use processes::Processes;
pub use sockets::Sockets;
pub use time_waits::TimeWaits;

/// Everything that is remembered between records.
#[derive(Debug, Default)]
pub struct World {
    /// Processes, alive or not.
    pub processes: Processes,
    /// Who made whom.
    pub lineages: Lineages,
    /// Sockets that were open before.
    pub sockets: Sockets,
    /// `TIME_WAIT`s that last.
    pub time_waits: TimeWaits,
}
