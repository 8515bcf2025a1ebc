//! May this process trace? Asked before the kernel says "operation not permitted" in less helpful words.

use std::{fs, io};

use super::error::BpfError;

/// Bits of `include/uapi/linux/capability.h`.
const CAP_SYS_ADMIN: u64 = 1 << 21;
const CAP_PERFMON: u64 = 1 << 38;
const CAP_BPF: u64 = 1 << 39;

/// What this process may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Privileges {
    /// Effective capabilities.
    pub effective: u64,
}

impl Privileges {
    /// Of this process.
    ///
    /// # Errors
    ///
    /// If `/proc` cannot be read.
    pub fn own() -> io::Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("CapEff:"))
            .unwrap_or_default();
        let effective = u64::from_str_radix(line.trim(), 16).unwrap_or(0);
        Ok(Self { effective })
    }

    /// True if programs and tracepoints may be used.
    #[must_use]
    pub const fn suffice(self) -> bool {
        self.effective & CAP_SYS_ADMIN != 0
            || (self.effective & CAP_BPF != 0 && self.effective & CAP_PERFMON != 0)
    }
}

/// Refuses early, and says what to do.
///
/// # Errors
///
/// If this process may not trace.
pub fn check() -> Result<(), BpfError> {
    match Privileges::own() {
        Ok(own) if !own.suffice() => Err(BpfError::Refused {
            what: "tracing".to_owned(),
            source: io::Error::from_raw_os_error(libc::EPERM),
            advice: "run it as root (`sudo portwatch ...`), or give it CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH",
        }),
        // Where /proc does not tell, the kernel will.
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bpf_without_perfmon_does_not_suffice() {
        assert!(
            Privileges {
                effective: CAP_SYS_ADMIN
            }
            .suffice()
        );
        assert!(
            Privileges {
                effective: CAP_BPF | CAP_PERFMON
            }
            .suffice()
        );
        assert!(!Privileges { effective: CAP_BPF }.suffice());
        assert!(!Privileges { effective: 0 }.suffice());
    }
}
