//! Names who blocked whom when a program fails with "Address already in use".
//!
//! Three rings: the kernel collects facts (`portwatch-ebpf`), a pure core judges them ([`model`], [`verdict`]), a shell
//! does the I/O.

pub mod model;
