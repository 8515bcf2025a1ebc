//! How the kernel's objects hang together: every way from a task, a file or a table to a fact.
//!
//! No object is locked or referenced here. What makes reading it safe nevertheless:
//!
//! - A probe read cannot fault, so a pointer that went stale costs a wrong value and never a crash.
//! - Sockets come from slabs with `SLAB_TYPESAFE_BY_RCU`: the memory of a freed one stays a socket, perhaps another
//!   one.
//! - Buckets of the bind table have no such promise (`kfree_rcu()` only since 6.18). So walks have a budget, and a
//!   socket counts only if its family, port and namespace are the wanted ones.
//!
//! Offsets are never built in: [`crate::state::globals`] has those of the running kernel.

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
