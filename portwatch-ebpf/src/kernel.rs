//! What the kernel knows: the only room that knows how its objects hang together.

pub mod bucket;
pub mod caller;
pub mod candidate;
pub mod descriptor;
pub mod ehash;
pub mod paths;
pub mod preempt;
pub mod read;
pub mod sock;
pub mod task;
pub mod unix;
