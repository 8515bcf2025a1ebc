//! What the kernel's types say of how it will behave. A difference between kernels that was found out by trying must go
//! with the layout that brings it: else it was something else that was found.

use std::fs;

use anyhow::{Context, Result, ensure};
use portwatch::{bpf::load::KERNEL_BTF, btf::Btf};

use super::kernel::Kernel;

/// Members and types that tell kernels apart.
struct Layout {
    /// `inet_bind_bucket.owners`: a bucket lists its sockets itself (before 6.8), so that the first finds it empty.
    lists_sockets: bool,
    /// `struct inet_bind2_bucket`: there are buckets by address, too (from 6.1 on).
    by_address: bool,
    /// `sock.sk_ino`: the owner of a socket outlives its file. portwatch takes the uid by this.
    keeps_inode: bool,
}

impl Layout {
    fn of(btf: &Btf<'_>) -> Result<Self> {
        let has =
            |structure, member| -> Result<bool> { Ok(btf.member(structure, member)?.is_some()) };
        Ok(Self {
            lists_sockets: has("inet_bind_bucket", "owners")?,
            by_address: btf.size_of("inet_bind2_bucket").is_some(),
            keeps_inode: has("sock", "sk_ino")?,
        })
    }
}

/// Compares behaviour and layout, and tells them. An error if they do not go together.
pub(super) fn check(kernel: &Kernel) -> Result<String> {
    let bytes = fs::read(KERNEL_BTF).context(KERNEL_BTF)?;
    let layout = Layout::of(&Btf::parse(&bytes)?)?;
    ensure!(
        kernel.first_is_remembered == layout.lists_sockets,
        "memory of a bucket's first socket: {}; inet_bind_bucket.owners: {}",
        kernel.first_is_remembered,
        layout.lists_sockets
    );
    ensure!(
        kernel.orphans_keep_uid == layout.keeps_inode,
        "uid of closed sockets: {}; sock.sk_ino: {}",
        kernel.orphans_keep_uid,
        layout.keeps_inode
    );
    // The other way round it need not be: not every such kernel looks mapped addresses up by address.
    ensure!(
        !kernel.overlooks_mapped_wildcard || layout.by_address && layout.lists_sockets,
        "blind for ::ffff:0.0.0.0 by a layout of buckets that finds it"
    );
    let has = |is_there: bool| if is_there { "" } else { "no " };
    Ok(format!(
        "layout: {}inet_bind_bucket.owners, {}inet_bind2_bucket, {}sock.sk_ino",
        has(layout.lists_sockets),
        has(layout.by_address),
        has(layout.keeps_inode)
    ))
}
