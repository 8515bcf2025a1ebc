//! State that outlives one run of a program: every map, and the globals that the loader fills in.
//!
//! A map is private to the file of its subject, so that one file shows every access to it:
//!
//! | map | key | holds | file |
//! |---|---|---|---|
//! | `BOUND_OWNERS` | inode, low bits | owners of bound sockets | [`owners`] |
//! | `CALLS` | `pid_tgid` | system calls under way | [`calls`] |
//! | `CALLS_URING` | address of a request | `io_uring` requests under way | [`calls`] |
//! | `CONTEST` | CPU | the bind that the kernel compares now | [`refusals`] |
//! | `COUNTERS` | CPU and counter | what became of attempts and records | [`counters`] |
//! | `EVENTS` | | records for user space | [`ring`] |
//! | `EXACT` | `pid_tgid` | the socket that the kernel refused a call for | [`refusals`] |
//! | `HOLDER_PORT` | | the port that user space wants holders of | [`queries`] |
//! | `MESSAGES` | CPU | a search through queues of unix sockets | [`work`] |
//! | `OWNERS` | cookie, low bits | owners of connections | [`owners`] |
//! | `PORTS` | port | bits of watched ports | [`ports`] |
//! | `PORT_INDEX` | namespace and port | bound and listening sockets | [`index`] |
//! | `PROCESSES` | tgid, low bits | processes that user space knows | [`processes`] |
//! | `PROCESS_WORK` | CPU and context | a process record under construction | [`work`] |
//! | `QUERY` | place | questions of user space to iterators | [`queries`] |
//! | `RECHECK` | place | `TIME_WAIT`s that user space asks about | [`queries`] |
//! | `REUSE` | CPU | the `TIME_WAIT` that is about to be reused | [`reuse`] |
//! | `SWITCHES` | | which hooks are attached | [`ports`] |
//! | `WOKEN` | | how far the reader of `EVENTS` was woken | [`ring`] |
//! | `WORK` | CPU and context | an attempt under construction | [`work`] |
//!
//! Nothing here reads the kernel's memory: that is `kernel/`, which depends on this.

pub mod calls;
pub mod counters;
pub mod globals;
pub mod index;
pub mod owners;
pub mod ports;
pub mod processes;
pub mod queries;
pub mod refusals;
pub mod reuse;
pub mod ring;
pub mod work;
