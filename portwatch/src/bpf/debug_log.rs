//! Prints what an object says that was built with `cargo xtask ebpf --debug-log`.

use aya::Ebpf;
use aya_log::EbpfLogger;
use log::{Log, Metadata, Record};
use tokio::io::{Interest, unix::AsyncFd};

use super::error::BpfError;

/// Lines on standard error.
#[derive(Debug)]
struct Stderr;

impl Log for Stderr {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        anstream::eprintln!("bpf: {}: {}", record.target(), record.args());
    }

    fn flush(&self) {}
}

/// Prints log lines for as long as the runtime lives.
///
/// # Errors
///
/// If the object does not log.
pub fn start(ebpf: &mut Ebpf) -> Result<(), BpfError> {
    let what = "reading the object's log (build one with `cargo xtask ebpf --debug-log`)";
    let logger = EbpfLogger::init_with_logger(ebpf, Stderr)
        .map_err(|error| BpfError::kernel(what, &error))?;
    // SAFETY: the logger owns its descriptor, and nothing closes or replaces it while it is registered.
    let mut logger = unsafe { AsyncFd::register_with_interest(logger, Interest::READABLE) }
        .map_err(|error| BpfError::kernel(what, &error))?;
    tokio::spawn(async move {
        while let Ok(mut guard) = logger.readable_mut().await {
            guard.get_inner_mut().flush();
            guard.clear_ready();
        }
    });
    Ok(())
}
