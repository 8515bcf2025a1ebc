//! What the loader tells the object before it is loaded.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Filters and switches, in the object's `.rodata` so that the verifier removes what is switched off.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Config {
    /// Non-zero: only attempts on a port that is set in the `PORTS` bitmap are streamed.
    pub filter_ports: u32,
    /// Bit set of [`proto`]; 0 means every protocol.
    pub filter_protos: u32,
    /// Only attempts of this process (tgid, as the initial pid namespace numbers it); 0 means every process.
    pub filter_tgid: u32,
    /// Non-zero: only attempts whose thread or process is called [`Config::comm`].
    pub filter_comm: u32,
    /// Non-zero: successful attempts are not streamed, but for those on a port that another attempt failed on.
    pub failures_only: u32,
    /// Non-zero: the kernel compares the owner of the socket's inode (before 6.18), else `sk_uid`.
    pub uid_from_inode: u32,
    /// Non-zero: the local port range is one `u32`, `high << 16 | low` (since 6.8), else two `int`s.
    pub port_range_packed: u32,
    /// Non-zero: programs keep their CPU to themselves (`bpf_preempt_disable()`).
    pub keeps_cpu: u32,
    /// Reserved, zero.
    pub reserved: u32,
    /// How many cgroup controllers of [`Config::cgroup_subsys`] are valid.
    pub cgroup_subsys_count: u32,
    /// Indices into `css_set.subsys`, in the order in which a non-root cgroup is looked for.
    pub cgroup_subsys: [u32; 4],
    /// The name to look for when [`Config::filter_comm`] is set, padded with NUL.
    pub comm: [u8; 16],
}

impl Config {
    /// Everything is streamed: what the object contains before the loader has filled it in.
    pub const NONE: Self = zerocopy::transmute!([0u8; size_of::<Self>()]);
}

/// Bits of [`Config::filter_protos`].
pub mod proto {
    /// TCP.
    pub const TCP: u32 = 1 << 0;
    /// UDP.
    pub const UDP: u32 = 1 << 1;
    /// Multipath TCP.
    pub const MPTCP: u32 = 1 << 2;
    /// `AF_UNIX` of any type.
    pub const UNIX: u32 = 1 << 3;
    /// Every other protocol of the two Internet families (SCTP, ICMP, raw, ...).
    pub const OTHER: u32 = 1 << 4;
}
