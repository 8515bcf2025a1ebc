//! Names of network interfaces.

use std::os::unix::fs::MetadataExt;

use nix::net::if_::if_indextoname;

/// The name of an interface, which only has a meaning in its own network namespace: `None` for another namespace than
/// that of the calling thread, and for an interface that is gone.
#[must_use]
pub fn device_name(ifindex: u32, netns: u32) -> Option<String> {
    if ifindex == 0 || own_netns()? != netns {
        return None;
    }
    let name = if_indextoname(ifindex).ok()?.to_string_lossy().into_owned();
    // nix 0.32 still takes the null pointer of a failed look-up for success, and leaves the name empty.
    (!name.is_empty()).then_some(name)
}

/// Inode of the network namespace of the calling thread, which is the one that the look-up is made in.
fn own_netns() -> Option<u32> {
    let inode = std::fs::metadata("/proc/thread-self/ns/net").ok()?.ino();
    u32::try_from(inode).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_namespace_has_names() {
        let own = own_netns().unwrap();
        assert_eq!(device_name(1, own).as_deref(), Some("lo"));
        assert_eq!(device_name(1, own + 1), None);
        assert_eq!(device_name(0, own), None);
        assert_eq!(device_name(u32::MAX, own), None);
    }
}
