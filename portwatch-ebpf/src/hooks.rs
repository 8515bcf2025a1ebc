//! The programs, one subject a file. `portwatch/src/bpf/plan.rs` lists the same programs by capability.
//!
//! | capability | fexit tier | tracepoint tier | iterators |
//! |---|---|---|---|
//! | `attempts` | [`syscalls`] | [`syscalls`] | |
//! | `conflicts` | [`conflicts`] | the walk alone | |
//! | `connections` | [`connections`] | [`connections`] | |
//! | `holders` | | | [`holders`] |
//! | `io_uring` | [`io_uring::functions`] | [`io_uring::requests`] | |
//! | `keepers` | | | [`messages`], [`waiters`] |
//! | `lineage` | [`lineage`] | [`lineage`] | |
//! | `ports` | [`ports`] | [`ports`], [`connections`] | |
//! | `processes` | [`processes`] | [`processes`] | |
//! | `signals` | [`signals`] | [`signals`] | |
//! | `stages` | [`stages`] | | |
//! | `time_waits` | [`time_waits`] | [`connections`] | [`recheck`] |
//! | `unix_names` | | | [`unix_names`] |
//!
//! Functions are hooked with fentry and fexit, never with kprobes: a kretprobe misses calls when its instances run out.
//! The result of a function lies behind its arguments in the context. `bpf_get_func_ret()` would need 5.17, so the
//! loader compares each function's number of parameters with the plan instead.

pub mod conflicts;
pub mod connections;
pub mod debug_log;
pub mod holders;
pub mod io_uring;
pub mod iterators;
pub mod lineage;
pub mod messages;
pub mod ports;
pub mod processes;
pub mod recheck;
pub mod signals;
pub mod stages;
pub mod syscalls;
pub mod time_waits;
pub mod unix_names;
pub mod waiters;
