//! The host itself.

use std::{ffi::OsStr, fs};

use nix::sys::utsname::{UtsName, uname};

/// What `uname(2)` says, and the boot's id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Host name.
    pub name: String,
    /// Kernel release.
    pub kernel: String,
    /// Machine architecture.
    pub arch: String,
    /// Changes with every boot.
    pub boot_id: Option<String>,
}

impl Host {
    /// This one.
    #[must_use]
    pub fn this() -> Self {
        let names = uname().ok();
        let text = |part: fn(&UtsName) -> &OsStr| {
            names
                .as_ref()
                .map(part)
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        };
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
        Self {
            name: text(UtsName::nodename),
            kernel: text(UtsName::release),
            arch: text(UtsName::machine),
            boot_id: boot_id.map(|id| id.trim().to_owned()),
        }
    }
}
