//! `cargo xtask vm`: the scenarios, or any command, on Debian's kernels.
//!
//! Each kernel boots in an emulated machine that has nothing but a memory file system with our own programs, linked
//! statically. Emulation needs no privilege and no support of the processor, so it also works where this machine is itself
//! a guest.

mod guest;
mod initramfs;
mod programs;
mod qemu;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::kernels::{KERNELS, Kernel};
use crate::shell::say;
use guest::{Ending, Guest};
use programs::Programs;
use qemu::Qemu;

/// What to run, and where.
#[derive(Debug)]
pub(crate) struct Request {
    /// Name of a kernel, or `all`.
    pub(crate) kernel: String,
    /// More programs for the guests.
    pub(crate) add: Vec<PathBuf>,
    /// How long one guest may run.
    pub(crate) limit: Duration,
    /// The command; if it is empty, all scenarios.
    pub(crate) command: Vec<String>,
}

/// Boots the kernels one after the other. Gives the command's exit code, of several that are not 0 the first.
pub(crate) fn vm(request: &Request) -> Result<u8> {
    if !cfg!(target_arch = "x86_64") {
        bail!("the guests are x86_64, and so must this machine be, which builds their programs");
    }
    let kernels = selected(&request.kernel)?;
    let qemu = Qemu::ensure()?;
    let programs = Programs::build(&request.add)?;
    let mut first = 0;
    let mut summary = Vec::new();
    for kernel in kernels {
        let directory = kernel.ensure(false)?;
        say(format!("--- kernel {} ---", kernel.name));
        let began = Instant::now();
        let guest = Guest {
            qemu: &qemu,
            vmlinuz: &directory.join("vmlinuz"),
            programs: &programs,
            command: &request.command,
            limit: request.limit,
        };
        let (code, told) = match guest.run()? {
            Ending::Exited(code) => (code, format!("exit code {code}")),
            Ending::Failed(reason) => {
                say(format!("error: kernel {}: {reason}", kernel.name));
                (1, "did not come to its end".to_owned())
            }
        };
        if first == 0 {
            first = code;
        }
        summary.push(format!(
            "kernel {:7} {told}, {:.0} s",
            kernel.name,
            began.elapsed().as_secs_f64()
        ));
    }
    say(summary.join("\n"));
    Ok(first)
}

fn selected(name: &str) -> Result<Vec<&'static Kernel>> {
    if name == "all" {
        return Ok(KERNELS.iter().collect());
    }
    let found = KERNELS.iter().find(|kernel| kernel.name == name);
    let names: Vec<_> = KERNELS.iter().map(|kernel| kernel.name).collect();
    let found = found.with_context(|| {
        let names = names.join(", ");
        format!("no kernel is called {name}; there are {names}, and all")
    })?;
    Ok(vec![found])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_selected_by_name() {
        assert_eq!(selected("all").unwrap().len(), KERNELS.len());
        assert_eq!(selected("6.1").unwrap(), [&KERNELS[1]]);
        assert_eq!(
            selected("6").unwrap_err().to_string(),
            "no kernel is called 6; there are 5.10, 6.1, 6.12, newest, and all"
        );
    }
}
