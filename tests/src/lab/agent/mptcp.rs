//! A listener that the kernel makes for itself: Multipath TCP's, for an address that it offers to its peers
//! (`mptcp_pm_nl_create_listen_socket()` of `net/mptcp/pm_netlink.c`).
//!
//! Generic netlink, by hand: a few attributes, and one answer (`include/uapi/linux/{netlink,genetlink,mptcp_pm}.h`).

use std::{net::SocketAddrV4, os::fd::AsRawFd};

use anyhow::{Context, Result, ensure};
use nix::{
    errno::Errno,
    libc,
    sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket},
};

use crate::lab::protocol::Reply;

const FAMILY_NAME: &[u8] = b"mptcp_pm\0";
/// `MPTCP_PM_CMD_ADD_ADDR`.
const ADD_ADDR: u8 = 1;
/// `MPTCP_PM_ATTR_ADDR`: an address, in attributes of its own.
const ADDR: u16 = 1;
/// `MPTCP_PM_ADDR_ATTR_*`.
mod attribute {
    pub(super) const FAMILY: u16 = 1;
    pub(super) const ADDR4: u16 = 3;
    pub(super) const PORT: u16 = 5;
    pub(super) const FLAGS: u16 = 6;
}
/// `MPTCP_PM_ADDR_FLAG_SIGNAL`: offer it to peers.
const SIGNAL: u32 = 1;
/// Before the attributes: `struct nlmsghdr` and `struct genlmsghdr`.
const HEADERS: usize = 20;

/// Has the kernel listen on this address, in the network namespace of this process, for as long as that exists.
pub(super) fn listen(at: SocketAddrV4) -> Result<Reply> {
    let netlink = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkGeneric,
    )?;
    let ask = |message: &[u8]| -> Result<Vec<u8>> {
        send(netlink.as_raw_fd(), message, MsgFlags::empty())?;
        let mut answer = vec![0; 8192];
        let len = recv(netlink.as_raw_fd(), &mut answer, MsgFlags::empty())?;
        answer.truncate(len);
        Ok(answer)
    };
    let name = attribute_of(libc::CTRL_ATTR_FAMILY_NAME as u16, FAMILY_NAME);
    let controller = libc::GENL_ID_CTRL as u16;
    let answer = ask(&message(
        controller,
        libc::CTRL_CMD_GETFAMILY as u8,
        0,
        &name,
    ))?;
    let Ok(family) = family_id(&answer) else {
        return Ok(Reply::Unsupported("no Multipath TCP here".into()));
    };
    let address = [
        attribute_of(attribute::FAMILY, &(libc::AF_INET as u16).to_ne_bytes()),
        attribute_of(attribute::ADDR4, &at.ip().octets()),
        attribute_of(attribute::PORT, &at.port().to_ne_bytes()),
        attribute_of(attribute::FLAGS, &SIGNAL.to_ne_bytes()),
    ]
    .concat();
    let address = attribute_of(ADDR | libc::NLA_F_NESTED as u16, &address);
    let answer = ask(&message(family, ADD_ADDR, libc::NLM_F_ACK as u16, &address))?;
    match error_of(&answer)? {
        0 => Ok(Reply::Done),
        // Before 5.12 an address has no port.
        errno => Ok(Reply::Unsupported(format!(
            "the kernel does not listen for Multipath TCP: {}",
            Errno::from_raw(errno)
        ))),
    }
}

/// A message with one command and its attributes.
fn message(kind: u16, command: u8, flags: u16, attributes: &[u8]) -> Vec<u8> {
    let len = (HEADERS + attributes.len()) as u32;
    let flags = libc::NLM_F_REQUEST as u16 | flags;
    let mut message = Vec::new();
    message.extend(len.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    // Sequence number and port are of no use here.
    message.extend([0; 8]);
    message.extend([command, 1, 0, 0]);
    message.extend(attributes);
    message
}

/// An attribute, padded to four bytes.
fn attribute_of(kind: u16, value: &[u8]) -> Vec<u8> {
    let len = (4 + value.len()) as u16;
    let mut attribute = Vec::new();
    attribute.extend(len.to_ne_bytes());
    attribute.extend(kind.to_ne_bytes());
    attribute.extend(value);
    attribute.resize(attribute.len().next_multiple_of(4), 0);
    attribute
}

/// The errno of an acknowledgement, 0 for success.
fn error_of(answer: &[u8]) -> Result<i32> {
    let word = |at: usize| answer.get(at..at + 2).context("a short answer");
    let kind = u16::from_ne_bytes(word(4)?.try_into()?);
    ensure!(
        i32::from(kind) == libc::NLMSG_ERROR,
        "an answer of the kind {kind}"
    );
    let errno = answer.get(16..20).context("a short answer")?;
    Ok(-i32::from_ne_bytes(errno.try_into()?))
}

/// The number of a family, from the answer to `CTRL_CMD_GETFAMILY`.
fn family_id(answer: &[u8]) -> Result<u16> {
    let mut rest = answer.get(HEADERS..).context("a short answer")?;
    while let [a, b, c, d, ..] = *rest {
        let len = usize::from(u16::from_ne_bytes([a, b]));
        if i32::from(u16::from_ne_bytes([c, d])) == libc::CTRL_ATTR_FAMILY_ID {
            let value = rest.get(4..6).context("a short attribute")?;
            return Ok(u16::from_ne_bytes(value.try_into()?));
        }
        ensure!(len >= 4, "an attribute of {len} bytes");
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    anyhow::bail!("no such family")
}
