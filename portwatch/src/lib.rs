//! Names who blocked whom when a program fails with "Address already in use".
//!
//! Three rings. The kernel collects facts (`portwatch-ebpf`, driven from [`bpf`]). A pure core judges them: [`decode`]
//! reads records, [`story`] joins them with what [`world`] remembers, [`verdict`] says why. A shell does the I/O:
//! [`machine`] and [`enrich`] look things up, [`output`] writes, [`commands`] put it together.

pub mod bpf;
pub mod btf;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod decode;
pub mod enrich;
pub mod explain;
pub mod log;
pub mod machine;
pub mod model;
pub mod output;
pub mod report;
pub mod snapshot;
pub mod story;
pub mod verdict;
pub mod world;
