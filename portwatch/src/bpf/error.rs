//! Why tracing cannot start, and what to do about it.

use std::{io, path::PathBuf};

/// Tracing cannot start.
#[derive(Debug, thiserror::Error)]
pub enum BpfError {
    /// The object's file.
    #[error("cannot read the BPF object {path}: {source}")]
    Object {
        /// Where it should be.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The object and this program disagree.
    #[error(
        "the BPF object was built for another version of portwatch (it has no `{symbol}`): rebuild it with `cargo xtask ebpf`"
    )]
    Abi {
        /// What is missing.
        symbol: &'static str,
    },
    /// The kernel describes no types.
    #[error(
        "this kernel has no BTF ({path}: {source}): portwatch needs a kernel built with CONFIG_DEBUG_INFO_BTF=y, as all large distributions have"
    )]
    NoBtf {
        /// Where it should be.
        path: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The kernel's types are not what portwatch reads.
    #[error("this kernel's BTF cannot be used: {0}")]
    Btf(String),
    /// The tracepoints' directory.
    #[error(
        "tracefs is not mounted and cannot be mounted for portwatch alone ({source}), so that the tracepoints cannot be found: run `mount -t tracefs tracefs /sys/kernel/tracing` as root"
    )]
    NoTracefs {
        /// The kernel's answer.
        source: io::Error,
    },
    /// A privilege.
    #[error("{what} was refused ({source}): {advice}")]
    Refused {
        /// What was tried.
        what: String,
        /// The kernel's answer.
        source: io::Error,
        /// What to do.
        advice: &'static str,
    },
    /// Programs on functions.
    #[error(
        "this kernel lets nobody attach programs to its functions ({what}: {source}): leave out `--tier fexit`, the tracepoint tier does without"
    )]
    NoFexit {
        /// What was tried.
        what: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The kernel did not take the object.
    #[error("{what}: {message}")]
    Kernel {
        /// What was tried.
        what: String,
        /// What it said, in one line.
        message: String,
        /// The verifier's words, for `-v`.
        log: Option<String>,
    },
}

impl BpfError {
    /// Turns aya's error into one that says what to do.
    pub(crate) fn kernel(
        what: impl Into<String>,
        error: &(dyn std::error::Error + 'static),
    ) -> Self {
        let what = what.into();
        let mut message = String::new();
        let mut log = None;
        let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(error) = source {
            if let Some(io) = error.downcast_ref::<io::Error>()
                && matches!(io.raw_os_error(), Some(libc::EPERM | libc::EACCES))
                && log.is_none()
            {
                return Self::Refused {
                    what,
                    source: io::Error::from_raw_os_error(io.raw_os_error().unwrap_or(libc::EPERM)),
                    advice: "run as root, or with CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH; under lockdown=confidentiality no tracing is possible (see `portwatch doctor`)",
                };
            }
            // aya puts the verifier's log, which has many lines, into the message.
            let text = error.to_string();
            let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
            if !rest.is_empty() {
                log = Some(rest.to_owned());
            }
            if !message.contains(first) {
                if !message.is_empty() {
                    message.push_str(": ");
                }
                message.push_str(first);
            }
            source = error.source();
        }
        Self::Kernel { what, message, log }
    }

    /// The verifier's words, if it was the verifier.
    #[must_use]
    pub fn verifier_log(&self) -> Option<&str> {
        match self {
            Self::Kernel { log, .. } => log.as_deref(),
            _ => None,
        }
    }
}
