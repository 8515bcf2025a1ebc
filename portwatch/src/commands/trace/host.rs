//! The `start` record's words about the host.

use std::fs;

use nix::sys::utsname::uname;

use crate::{
    bpf::attach::Attached,
    model::record::{Filters, Start},
};

pub(super) fn start(attached: &Attached, filters: Filters) -> Start {
    let name = uname().ok();
    let text = |value: Option<&std::ffi::OsStr>| {
        value.map(|value| value.to_string_lossy().into_owned()).unwrap_or_default()
    };
    Start {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: text(name.as_ref().map(|name| name.nodename())),
        boot_id: fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .ok()
            .map(|id| id.trim().to_owned()),
        kernel: text(name.as_ref().map(|name| name.release())),
        arch: text(name.as_ref().map(|name| name.machine())),
        hooks: attached.hooks.clone(),
        degraded: attached.degraded.clone(),
        filters,
    }
}
