//! Logging for those who work on the hooks: `cargo xtask ebpf --debug-log`. Without that feature nothing is left of it.

/// Logs a line, in an object that was built for it.
macro_rules! debug_log {
    ($ctx:expr, $($message:tt)*) => {
        #[cfg(feature = "debug-log")]
        aya_log_ebpf::debug!($ctx, $($message)*);
    };
}

pub(crate) use debug_log;
