//! Logging for work on the hooks: `cargo xtask ebpf --debug-log`. Without that feature nothing of it is in the object.

/// Logs a line.
macro_rules! debug_log {
    ($ctx:expr, $($message:tt)*) => {
        #[cfg(feature = "debug-log")]
        aya_log_ebpf::debug!($ctx, $($message)*);
    };
}

pub(crate) use debug_log;
