//! `struct sock` and its mini-socket siblings.
//!
//! `skc_state` tells them apart: a mini-socket has `struct sock_common` and nothing else in common with a socket. To
//! read `sk_uid` or `sk_socket` of one would read foreign memory.

use aya_ebpf::helpers::generated::{bpf_jiffies64, bpf_probe_read_kernel};
use portwatch_common::{
    endpoint::{AF_INET, AF_INET6, Endpoint},
    event::socket::{Socket, flag, state},
    offsets::SOCK_COMMON_LEN,
};

use crate::{
    kernel::read::{Word, bits, extract, read},
    state::globals::{config, has, offset},
};

/// `sk_protocol`, of `include/uapi/linux/in.h`.
pub const IPPROTO_TCP: u16 = 6;
pub const IPPROTO_UDP: u16 = 17;
pub const IPPROTO_UDPLITE: u16 = 136;
pub const IPPROTO_MPTCP: u16 = 262;

/// `SOCK_BINDADDR_LOCK`, `SOCK_BINDPORT_LOCK` and `SOCK_CONNECT_BIND` of `include/net/sock.h`.
const BINDADDR_LOCK: u8 = 4;
pub const BINDPORT_LOCK: u8 = 8;
const CONNECT_BIND: u8 = 16;
/// `SOCK_RAW`.
const SOCK_RAW: u16 = 3;

/// `struct sock_common` of one socket, the part that every kind of socket has.
///
/// Copied at once: a dozen members for the price of one read. And the copy is of one moment, so that a check of port
/// and namespace holds for all the other members.
#[derive(Clone, Copy)]
pub struct Common {
    bytes: *const u8,
}

impl Common {
    /// Copies it into `buffer`.
    ///
    /// # Safety
    ///
    /// `buffer` points at [`SOCK_COMMON_LEN`] writable bytes, which outlive the copy.
    #[inline(always)]
    pub unsafe fn copy(sk: u64, buffer: *mut u8) -> Option<Self> {
        // SAFETY: the caller's promise; the helper cannot fault on `sk`.
        let failed =
            unsafe { bpf_probe_read_kernel(buffer.cast(), SOCK_COMMON_LEN as u32, sk as *const _) };
        (failed == 0).then_some(Self { bytes: buffer })
    }

    #[inline(always)]
    fn at<T: Copy>(self, offset: u32) -> T {
        // SAFETY: the loader has checked that every member of `sock_common` lies within `SOCK_COMMON_LEN`.
        unsafe { self.bytes.add(offset as usize).cast::<T>().read_unaligned() }
    }

    #[inline(always)]
    fn bits(self, field: u32) -> u8 {
        extract(self.at(field & 0xffff), field)
    }

    #[inline(always)]
    pub fn family(self) -> u16 {
        self.at(offset!(skc_family))
    }

    #[inline(always)]
    pub fn state(self) -> u8 {
        self.at(offset!(skc_state))
    }

    /// Local port, host byte order.
    #[inline(always)]
    pub fn port(self) -> u16 {
        self.at(offset!(skc_num))
    }

    #[inline(always)]
    pub fn net(self) -> u64 {
        self.at(offset!(skc_net))
    }

    #[inline(always)]
    pub fn cookie(self) -> u64 {
        self.at(offset!(skc_cookie))
    }

    #[inline(always)]
    pub fn bound_dev_if(self) -> u32 {
        self.at(offset!(skc_bound_dev_if))
    }

    #[inline(always)]
    pub fn reuse(self) -> u8 {
        self.bits(offset!(skc_reuse))
    }

    #[inline(always)]
    pub fn reuseport(self) -> bool {
        self.bits(offset!(skc_reuseport)) != 0
    }

    #[inline(always)]
    pub fn v6only(self) -> bool {
        self.bits(offset!(skc_ipv6only)) != 0
    }

    #[inline(always)]
    pub fn is_inet(self) -> bool {
        let family = self.family();
        family == AF_INET || family == AF_INET6
    }

    /// The address that it is bound to, into `out`.
    ///
    /// `skc_rcv_saddr` of an IPv6 socket means nothing: a specific address sets it to the dummy 127.0.0.6
    /// (`LOOPBACK4_IPV6`).
    #[inline(always)]
    pub fn local(self, out: &mut Endpoint) {
        out.family = self.family();
        out.port = self.port();
        out.scope_id = 0;
        out.addr = if out.family == AF_INET6 && has!(skc_v6_rcv_saddr) {
            self.at(offset!(skc_v6_rcv_saddr))
        } else {
            ipv4(self.at(offset!(skc_rcv_saddr)))
        };
    }

    #[inline(always)]
    fn remote(self, out: &mut Endpoint) {
        out.family = self.family();
        // Unlike `skc_num`, in network byte order.
        out.port = u16::from_be(self.at(offset!(skc_dport)));
        out.scope_id = 0;
        out.addr = if out.family == AF_INET6 && has!(skc_v6_daddr) {
            self.at(offset!(skc_v6_daddr))
        } else {
            ipv4(self.at(offset!(skc_daddr)))
        };
    }
}

#[inline(always)]
fn ipv4(addr: [u8; 4]) -> [u8; 16] {
    let mut out = [0; 16];
    out[0] = addr[0];
    out[1] = addr[1];
    out[2] = addr[2];
    out[3] = addr[3];
    out
}

/// Fills in every fact of a socket.
#[inline(always)]
pub fn fill(sk: u64, common: Common, out: &mut Socket) {
    fill_known(sk, common, Known::NOTHING, out);
}

/// Facts that the caller has read already; zero if it has not.
#[derive(Clone, Copy)]
pub struct Known {
    /// Its `struct socket`, which has a file.
    pub socket: u64,
    /// A network namespace that is probably its own: that of the task.
    pub net: u64,
    /// Inode of that namespace.
    pub netns: u32,
    /// The attempt will not be streamed: only the owner of the port matters.
    pub untold: bool,
}

impl Known {
    const NOTHING: Self = Self {
        socket: 0,
        net: 0,
        netns: 0,
        untold: false,
    };
}

/// Fills in every fact of a socket, except for those that are known.
#[inline(always)]
pub fn fill_known(sk: u64, common: Common, known: Known, out: &mut Socket) {
    let state = common.state();
    out.sk = sk;
    out.cookie = common.cookie();
    out.state = state;
    out.reuse = common.reuse();
    out.bound_dev_if = common.bound_dev_if();
    out.reserved = 0;
    let net = common.net();
    out.netns = if known.netns != 0 && net == known.net {
        known.netns
    } else {
        read(net, offset!(net_inum))
    };
    out.netns_cookie = if known.untold {
        0
    } else {
        read(net, offset!(net_cookie))
    };
    if common.is_inet() {
        common.local(&mut out.local);
        common.remote(&mut out.remote);
    } else {
        out.local = Endpoint::NONE;
        out.remote = Endpoint::NONE;
        out.local.family = common.family();
    }
    let mut flags = 0;
    if common.reuseport() {
        flags |= flag::REUSEPORT;
    }
    // An IPv4 socket has the bit's byte as well, and the bit means nothing there.
    if common.family() == AF_INET6 && common.v6only() {
        flags |= flag::V6ONLY;
    }
    out.flags = flags;
    // A mini-socket in substate FIN_WAIT2 has this state, too.
    if state == state::TIME_WAIT {
        time_wait(sk, out);
    } else {
        full(sk, known, out);
    }
}

/// The rest of a `TIME_WAIT` mini-socket (`struct inet_timewait_sock`).
#[inline(always)]
fn time_wait(tw: u64, out: &mut Socket) {
    out.substate = read(tw, offset!(tw_substate));
    out.expires_in_jiffies = expires_in_jiffies(tw);
    // The kernel drops these with the socket. Its rule does not compare the uid of a TIME_WAIT.
    out.inode = 0;
    out.uid = 0;
    out.protocol = 6;
    out.socket_type = 1;
    if has!(tw_connect_bind) {
        out.flags |= flag::CONNECT_BIND_KNOWN;
        if bits(tw, offset!(tw_connect_bind)) != 0 {
            out.flags |= flag::CONNECT_BIND;
        }
    }
}

/// Jiffies until a `TIME_WAIT` mini-socket's timer is due; negative when it is overdue.
///
/// A lower bound: the timer wheel rounds a minute up by as much as two to five seconds, which depends on HZ.
#[inline(always)]
pub fn expires_in_jiffies(tw: u64) -> i64 {
    // SAFETY: the helper has no conditions.
    let now = unsafe { bpf_jiffies64() };
    read::<u64>(tw, offset!(tw_expires)).wrapping_sub(now) as i64
}

/// The rest of a full socket (`struct sock`).
#[inline(always)]
fn full(sk: u64, known: Known, out: &mut Socket) {
    let mut flags = 0;
    out.substate = 0;
    out.expires_in_jiffies = 0;
    let word = Word::around(sk, offset!(sk_type));
    out.socket_type = word.u16(offset!(sk_type));
    // A `u16` since 5.6, for MPTCP's 262.
    out.protocol = word.u16(offset!(sk_protocol));
    if !known.untold && read::<u64>(sk, offset!(sk_reuseport_cb)) != 0 {
        flags |= flag::REUSEPORT_CB;
    }
    if word.bits(offset!(sk_kern_sock)) != 0 {
        flags |= flag::KERN_SOCK;
    }
    // Four bits of a byte up to 6.1, a byte of its own later: the offset has the width.
    let locks = word.bits(offset!(sk_userlocks));
    if locks & BINDADDR_LOCK != 0 {
        flags |= flag::BINDADDR_LOCK;
    }
    if locks & BINDPORT_LOCK != 0 {
        flags |= flag::BINDPORT_LOCK;
    }
    // `SOCK_CONNECT_BIND` is a macro, which BTF does not have. The mini-socket's member came with the same change
    // (6.18).
    if has!(tw_connect_bind) {
        flags |= flag::CONNECT_BIND_KNOWN;
        if locks & CONNECT_BIND != 0 {
            flags |= flag::CONNECT_BIND;
        }
    }
    let socket: u64 = if known.socket == 0 {
        read(sk, offset!(sk_socket))
    } else {
        known.socket
    };
    let mut inode = 0;
    if socket != 0 {
        flags |= flag::HAS_SOCKET;
        if known.socket != 0 || read::<u64>(socket, offset!(socket_file)) != 0 {
            flags |= flag::HAS_FILE;
        }
        // Not by way of the file, which a kernel socket lacks: both lie in one `struct socket_alloc`.
        inode = socket - u64::from(offset!(alloc_socket)) + u64::from(offset!(alloc_inode));
    }
    out.inode = read(inode, offset!(i_ino));
    if known.untold {
        out.uid = 0;
    } else if config!(uid_from_inode) == 0 {
        out.uid = read(sk, offset!(sk_uid));
    } else {
        // What the kernel compares before 6.18, `sock_i_uid()`: the inode's owner, and root for a socket without an
        // inode, such as a connection that nobody has accepted yet. A null inode reads as 0, which is root.
        out.uid = read(inode, offset!(i_uid));
    }
    out.flags |= flags | flag::UID_KNOWN;
    if out.socket_type == SOCK_RAW {
        // A raw socket keeps its protocol there.
        out.local.port = 0;
    }
}

/// The local port of a socket that may have given it back already.
#[inline(always)]
pub fn last_port(sk: u64) -> u16 {
    match read::<u16>(sk, offset!(skc_num)) {
        // `inet_put_port()` clears `skc_num` and leaves `inet_sport`. At a change to CLOSE it has already run.
        0 => u16::from_be(read(sk, offset!(inet_sport))),
        port => port,
    }
}

/// True if a socket is bound to a port without a connection.
#[inline(always)]
pub fn is_bound_alone(sk: u64, port: u16) -> bool {
    if sk == 0 {
        return false;
    }
    let now: u8 = read(sk, offset!(skc_state));
    read::<u16>(sk, offset!(skc_num)) == port && (now == state::LISTEN || now == state::CLOSE)
}
