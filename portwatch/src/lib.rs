//! Names who blocked whom when a program fails with "Address already in use".
//!
//! Three rings. The kernel collects facts (`portwatch-ebpf`, driven from [`bpf`]). A pure core judges them
//! (`portwatch-core`). A shell does the I/O: here [`machine`] looks things up, [`sink`] writes, and [`commands`] put it
//! together. What `trace`, `replay` and `report` share is in `portwatch-log`.

pub mod bpf;
pub mod btf;
pub mod cli;
pub mod commands;
pub mod machine;
pub mod sink;
