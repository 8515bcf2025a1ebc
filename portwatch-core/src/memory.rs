//! What has been seen so far. Pure, bounded, and what is dropped for room is counted.

pub mod episodes;
pub mod lineages;
pub mod processes;
pub mod releases;
pub mod sockets;
pub mod time_waits;

pub use episodes::Episodes;
pub use lineages::Lineages;
pub use processes::Processes;
pub use releases::Releases;
pub use sockets::Sockets;
pub use time_waits::TimeWaits;

/// Everything that is remembered between records.
#[derive(Debug, Default)]
pub struct Memory {
    /// Processes, alive or not.
    pub processes: Processes,
    /// Who made whom.
    pub lineages: Lineages,
    /// Sockets that were open before.
    pub sockets: Sockets,
    /// `TIME_WAIT`s that last.
    pub time_waits: TimeWaits,
    /// Episodes that have not ended.
    pub episodes: Episodes,
    /// Sockets that have just given their ports back.
    pub releases: Releases,
}
